// SPDX-License-Identifier: MIT
/*
 * What never says a word, in place of a program that is upgraded to.
 */
#include <unistd.h>

int main(void)
{
	for (;;)
		pause();
}
