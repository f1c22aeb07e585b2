// SPDX-License-Identifier: MIT
/*
 * What dies as soon as it begins, in place of a program that is upgraded to.
 */
#include <signal.h>

int main(void)
{
	return raise(SIGSEGV);
}
