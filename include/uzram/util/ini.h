/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_UTIL_INI_H
#define UZRAM_UTIL_INI_H

#include <uzram/types.h>
#include <uzram/util/err.h>

/**
 * DOC: configuration files of sections and settings
 *
 * ::
 *
 *	# a comment; so is a line that begins with a semicolon
 *	[section]
 *	key = value
 *
 * White space around section, key and value does not count. A value ends where
 * its line ends: there are no quotes, no continued lines, and no comments
 * behind it. A section and, in it, a key may be there once. Text is UTF-8.
 */

/* Bytes of the longest line, without its end: room for a path and more. */
#define UZ_INI_LINE_MAX 8192

/* Bytes of the largest file. */
#define UZ_INI_FILE_MAX 65536

/**
 * struct uz_ini_line - a line that says something
 * @number:  of the line, from 1
 * @section: "" before the first one; NULL when its line was no section's
 * @key:     NULL: the section begins here
 * @value:   NULL with @key
 */
struct uz_ini_line {
	unsigned int number;
	const char *section;
	const char *key;
	const char *value;
};

/**
 * struct uz_ini_reader - who wants to know
 * @line:    called for each line, in order; never with a NULL section
 * @mistake: called for each line that is none, with the number and section of
 *           @at, and why
 * @arg:     for both
 */
struct uz_ini_reader {
	void (*line)(void *arg, const struct uz_ini_line *line);
	void (*mistake)(void *arg, const struct uz_ini_line *at,
			const char *text);
	void *arg;
};

/**
 * uz_ini_parse() - go through a text
 * @text:   the text and, after @len bytes, a zero byte; is cut into pieces
 * @len:    its bytes, any at all
 * @reader: is told what there is and what is wrong
 *
 * Context: any thread; allocates.
 * Return:  0, also when there were mistakes; -ENOMEM.
 */
uz_must_check int uz_ini_parse(char *text, size_t len,
			       const struct uz_ini_reader *reader);

/**
 * uz_ini_read() - go through a file
 * @path:   a regular file, or /dev/null, which is an empty one
 * @reader: as above
 * @err:    the reason, without @path in it; may be NULL
 *
 * Context: any thread; allocates, reads a file.
 * Return:  0, also when there were mistakes; -EINVAL it is no regular file or
 *          too large; -ENOMEM; other -errno of opening and reading it.
 */
uz_must_check int uz_ini_read(const char *path,
			      const struct uz_ini_reader *reader,
			      struct uz_err *err);

#endif
