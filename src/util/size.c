// SPDX-License-Identifier: MIT
/*
 * Sizes as people and as the kernel write them. All arithmetic is on integers,
 * in 128 bits where a fraction or a percentage is scaled, so that nothing is
 * rounded unseen and too large a number is told from a wrong one.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <uzram/util/size.h>

/* No libc type is wide enough for 2^64 - 1 times a percentage. */
typedef unsigned __int128 wide;

/* Digits after the point that count: 10^18 * 2^60 still fits a wide. */
#define FRACTION_DIGITS 18

static const char units[] = "KMGTPE";

/* A decimal number as @whole + @part / @scale. */
struct decimal {
	uint64_t whole;
	uint64_t part;
	uint64_t scale;
};

static const char *skip_space(const char *p)
{
	while (isspace((unsigned char)*p))
		p++;
	return p;
}

/* strtoull() alone would take "-1", "+1" and " 1". */
static int parse_whole(const char **p, int base, uint64_t *n)
{
	char *end;

	if (!isdigit((unsigned char)**p))
		return -EINVAL;
	errno = 0;
	*n = strtoull(*p, &end, base);
	*p = end;
	return errno ? -ERANGE : 0;
}

static int parse_decimal(const char **p, struct decimal *d)
{
	int ret = parse_whole(p, 10, &d->whole);
	int digits = 0;

	d->part = 0;
	d->scale = 1;
	if (ret == -EINVAL || **p != '.')
		return ret;
	if (!isdigit((unsigned char)*++*p))
		return -EINVAL;
	for (; isdigit((unsigned char)**p); ++*p) {
		if (digits++ >= FRACTION_DIGITS)
			continue;
		d->part = d->part * 10 + (uint64_t)(**p - '0');
		d->scale *= 10;
	}
	return ret;
}

/* 1 when there is no unit; @p moves past the one that is there. */
static uint64_t parse_unit(const char **p)
{
	const char *unit = **p ? strchr(units, toupper((unsigned char)**p))
			       : NULL;
	uint64_t binary = 1, decimal = 1;

	if (!unit)
		return 1;
	for (const char *u = units; u <= unit; u++) {
		binary *= 1024;
		decimal *= 1000;
	}
	++*p;
	if (!strncasecmp(*p, "iB", 2)) {
		*p += 2;
	} else if (toupper((unsigned char)**p) == 'B') {
		++*p;
		return decimal;
	}
	return binary;
}

/* "ram" or "ram/N"; -ENOENT when the text does not begin with "ram". */
static int parse_ram(const char **p, uint64_t ram, uint64_t *size)
{
	uint64_t divisor = 1;
	int ret;

	if (strncasecmp(*p, "ram", 3))
		return -ENOENT;
	*p = skip_space(*p + 3);
	if (**p == '/') {
		*p = skip_space(*p + 1);
		ret = parse_whole(p, 10, &divisor);
		if (ret)
			return ret;
	}
	if (!ram || !divisor)
		return -EINVAL;
	*size = ram / divisor;
	return 0;
}

/* A number with a unit or a percent sign. */
static int parse_number(const char **p, uint64_t ram, uint64_t *size)
{
	struct decimal d;
	uint64_t unit;
	bool percent;
	wide n;
	int ret = parse_decimal(p, &d);

	if (ret == -EINVAL)
		return ret;
	percent = **p == '%';
	if (percent)
		++*p;
	unit = percent ? ram : parse_unit(p);
	/* Percent of an unknown, and parts of a byte, are not sizes. */
	if (!unit || (!percent && unit == 1 && d.scale > 1))
		return -EINVAL;
	if (ret)
		return ret;
	n = (wide)d.whole * unit + (wide)d.part * unit / d.scale;
	if (percent)
		n /= 100;
	*size = (uint64_t)n;
	return n > UINT64_MAX ? -ERANGE : 0;
}

int uz_size_parse(const char *text, uint64_t ram, uint64_t *size)
{
	const char *p = skip_space(text);
	uint64_t n = 0;
	int ret;

	ret = parse_ram(&p, ram, &n);
	if (ret == -ENOENT)
		ret = parse_number(&p, ram, &n);
	if (ret == -EINVAL)
		return ret;
	if (*skip_space(p))
		return -EINVAL;
	if (!ret)
		*size = n;
	return ret;
}

int uz_size_memparse(const char *text, uint64_t *size)
{
	const char *p = text, *unit;
	unsigned int shift = 0;
	uint64_t n;
	int ret;

	ret = parse_whole(&p, 0, &n);
	if (ret == -EINVAL)
		return ret;
	unit = *p ? strchr(units, toupper((unsigned char)*p)) : NULL;
	if (unit) {
		shift = 10 * (unsigned int)(unit - units + 1);
		p++;
		/* Much in use, and the kernel takes it for nothing. */
		p += *p == 'i' && p[1] == 'B';
		p += *p == 'B';
	}
	if (*p == '\n')
		p++;
	if (*p)
		return -EINVAL;
	if (ret || n > UINT64_MAX >> shift)
		return -ERANGE;
	*size = n << shift;
	return 0;
}

void uz_size_format(uint64_t size, char text[UZ_SIZE_TEXT])
{
	unsigned int unit = 0, shift;
	uint64_t whole, tenths;

	if (size < 1024) {
		snprintf(text, UZ_SIZE_TEXT, "%uB", (unsigned int)size);
		return;
	}
	while (unit < strlen(units) - 1 && size >> (10 * (unit + 2)))
		unit++;
	shift = 10 * (unit + 1);
	whole = size >> shift;
	/* Below 2^60 * 10 + 2^59 even for exabytes: it fits. */
	tenths = ((size - (whole << shift)) * 10 +
		  (UINT64_C(1) << (shift - 1))) >>
		 shift;
	if (tenths == 10) {
		whole++;
		tenths = 0;
	}
	if (whole == 1024 && unit < strlen(units) - 1) {
		whole = 1;
		unit++;
	}
	if (tenths)
		snprintf(text, UZ_SIZE_TEXT, "%u.%u%c", (unsigned int)whole,
			 (unsigned int)tenths, units[unit]);
	else
		snprintf(text, UZ_SIZE_TEXT, "%u%c", (unsigned int)whole,
			 units[unit]);
}
