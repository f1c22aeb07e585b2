// SPDX-License-Identifier: MIT
/*
 * Sizes that are computed, as zram-generator has them in its configuration:
 * sums of products of numbers, by recursive descent. What was wrong sticks, and
 * is asked for once at the end.
 *
 * Knows nothing of other names than ram, and calls no program.
 */
#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include <uzram/util/size.h>

#define DEPTH_MAX 16

/*
 * struct compute - a text that is gone through
 * @p:     what is left of it
 * @ram:   in @unit
 * @unit:  bytes
 * @depth: parentheses around
 * @wrong: it is no such text
 */
struct compute {
	const char *p;
	long double ram;
	long double unit;
	unsigned int depth;
	bool wrong;
};

static long double sum(struct compute *c);

static char peek(struct compute *c)
{
	while (isspace((unsigned char)*c->p))
		c->p++;
	return *c->p;
}

static bool take(struct compute *c, char wanted)
{
	if (peek(c) != wanted)
		return false;
	c->p++;
	return true;
}

/* A name; what follows it is not part of a longer one. */
static bool take_name(struct compute *c, const char *name)
{
	size_t len = strlen(name);

	peek(c);
	if (strncmp(c->p, name, len) || isalnum((unsigned char)c->p[len]))
		return false;
	c->p += len;
	return true;
}

/* Digits, and some more behind a point. */
static long double digits(struct compute *c)
{
	long double n = 0, place = 1;

	while (isdigit((unsigned char)*c->p))
		n = n * 10 + (long double)(*c->p++ - '0');
	if (*c->p != '.')
		return n;
	c->p++;
	if (!isdigit((unsigned char)*c->p))
		c->wrong = true;
	while (isdigit((unsigned char)*c->p))
		n += (long double)(*c->p++ - '0') * (place /= 10);
	return n;
}

static long double number(struct compute *c)
{
	static const char units[] = "KMGTPE";
	long double n = digits(c), base = 1024;
	const char *unit;

	if (*c->p == '%') {
		c->p++;
		return n * c->ram / 100;
	}
	unit = *c->p ? strchr(units, toupper((unsigned char)*c->p)) : NULL;
	if (!unit)
		return n;
	c->p++;
	if (!strncasecmp(c->p, "iB", 2)) {
		c->p += 2;
	} else if (toupper((unsigned char)*c->p) == 'B') {
		c->p++;
		base = 1000;
	}
	for (; unit >= units; unit--)
		n *= base;
	return n / c->unit;
}

/* (A, B, ...), of which the least or greatest is meant. */
static long double choose(struct compute *c, bool least)
{
	long double chosen, n;

	if (!take(c, '('))
		c->wrong = true;
	chosen = sum(c);
	while (!c->wrong && take(c, ',')) {
		n = sum(c);
		if (least ? n < chosen : n > chosen)
			chosen = n;
	}
	if (!take(c, ')'))
		c->wrong = true;
	return chosen;
}

static long double atom(struct compute *c)
{
	long double n;

	if (take(c, '(')) {
		n = sum(c);
		if (!take(c, ')'))
			c->wrong = true;
		return n;
	}
	if (take_name(c, "ram"))
		return c->ram;
	if (take_name(c, "min"))
		return choose(c, true);
	if (take_name(c, "max"))
		return choose(c, false);
	if (isdigit((unsigned char)*c->p))
		return number(c);
	c->wrong = true;
	return 0;
}

static long double product(struct compute *c)
{
	long double n = atom(c), by;

	while (!c->wrong) {
		if (take(c, '*')) {
			n *= atom(c);
		} else if (take(c, '/')) {
			by = atom(c);
			if (by == 0)
				c->wrong = true;
			else
				n /= by;
		} else {
			break;
		}
	}
	return n;
}

static long double sum(struct compute *c)
{
	long double n;

	if (++c->depth > DEPTH_MAX)
		c->wrong = true;
	n = c->wrong ? 0 : product(c);
	while (!c->wrong) {
		if (take(c, '+'))
			n += product(c);
		else if (take(c, '-'))
			n -= product(c);
		else
			break;
	}
	c->depth--;
	return n;
}

int uz_size_compute(const char *text, uint64_t ram, uint64_t unit,
		    uint64_t *size)
{
	struct compute c = {
		.p = text,
		.ram = (long double)ram / (long double)unit,
		.unit = (long double)unit,
	};
	long double bytes = sum(&c) * c.unit;

	if (c.wrong || peek(&c) || !(bytes >= 0))
		return -EINVAL;
	if (bytes >= 18446744073709551616.0L)
		return -ERANGE;
	*size = (uint64_t)bytes;
	return 0;
}
