// SPDX-License-Identifier: MIT
/*
 * Bars of characters: blocks in eighths where the locale's characters are
 * UTF-8, number signs elsewhere. And how wide a terminal is.
 */
#include <langinfo.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "ctl.h"

#define COLUMNS 80u
#define EIGHTHS 8u

unsigned int ctl_columns(int fd)
{
	struct winsize size;

	if (ioctl(fd, TIOCGWINSZ, &size) || !size.ws_col)
		return COLUMNS;
	return size.ws_col;
}

/* Bytes of a bar of blocks; the last one may be of 1/8 to 7/8. */
static size_t draw_blocks(char *at, unsigned int eighths)
{
	/* U+2588 is a whole block, U+2589 to U+258f are of 7/8 to 1/8. */
	static const char block[] = "\xe2\x96";
	char *start = at;

	for (; eighths; eighths -= eighths < EIGHTHS ? eighths : EIGHTHS) {
		memcpy(at, block, 2);
		at[2] = (char)(eighths < EIGHTHS ? 0x90 - eighths : 0x88);
		at += 3;
	}
	return (size_t)(at - start);
}

struct ctl_bar_text ctl_bar(double share, unsigned int width)
{
	struct ctl_bar_text bar;
	unsigned int eighths, n;

	if (width > CTL_BAR_MAX)
		width = CTL_BAR_MAX;
	if (!(share > 0))
		share = 0;
	if (share > 1)
		share = 1;
	eighths = (unsigned int)(share * width * EIGHTHS + 0.5);
	/* What is there is seen. */
	if (!eighths && share > 0)
		eighths = 1;
	if (!strcmp(nl_langinfo(CODESET), "UTF-8")) {
		bar.text[draw_blocks(bar.text, eighths)] = '\0';
	} else {
		n = (eighths + EIGHTHS / 2) / EIGHTHS;
		if (!n && eighths)
			n = 1;
		memset(bar.text, '#', n);
		bar.text[n] = '\0';
	}
	return bar;
}
