// SPDX-License-Identifier: MIT
/*
 * Configuration files of sections and settings. Strict, since what is passed
 * over in silence is found out much later: each line is blank, a comment, a
 * section, a setting, or a mistake that is told with its number.
 *
 * The libraries that there are for this cut long lines and names, tell the
 * first mistake only or no line numbers, and mean by a file what they were
 * built to mean.
 *
 * The text is cut in place. Of sections and settings that have been there the
 * places are kept, to find those that are there twice.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <uzram/util/cleanup.h>
#include <uzram/util/ini.h>

/* Bytes of a line that a message quotes. */
#define QUOTED 40

/*
 * struct ini - a text that is gone through
 * @reader: who is told
 * @at:     the line
 * @seen:   lines that said something
 * @nr:     of them
 * @cap:    places in @seen
 */
struct ini {
	const struct uz_ini_reader *reader;
	struct uz_ini_line at;
	struct uz_ini_line *seen;
	size_t nr;
	size_t cap;
};

static void mistake(const struct ini *ini, const char *fmt, ...)
	uz_printf(2, 3);

static void mistake(const struct ini *ini, const char *fmt, ...)
{
	char text[UZ_ERR_TEXT];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ini->reader->mistake(ini->reader->arg, &ini->at, text);
}

/*
 * Bytes of the character at @p: a tab, or any that is no control character, in
 * UTF-8 of the shortest form. 0: it is none. A zero byte ends the text.
 */
static size_t character(const unsigned char *p)
{
	unsigned int min = 0x80, max = 0xbf;
	size_t len, i;

	if (*p == '\t' || (*p >= ' ' && *p <= '~'))
		return 1;
	if (*p >= 0xc2 && *p <= 0xdf)
		len = 2;
	else if (*p >= 0xe0 && *p <= 0xef)
		len = 3;
	else if (*p >= 0xf0 && *p <= 0xf4)
		len = 4;
	else
		return 0;
	if (*p == 0xc2 || *p == 0xe0) /* C1 controls; two bytes would do */
		min = 0xa0;
	else if (*p == 0xf0) /* three bytes would do */
		min = 0x90;
	if (*p == 0xed) /* surrogates */
		max = 0x9f;
	else if (*p == 0xf4) /* beyond U+10FFFF */
		max = 0x8f;
	if (p[1] < min || p[1] > max)
		return 0;
	for (i = 2; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

/* Whether the line is text, of a length that a line may have. */
static bool is_text(const struct ini *ini, const char *line, size_t len)
{
	const unsigned char *p = (const unsigned char *)line;
	size_t i, n;

	if (len > UZ_INI_LINE_MAX) {
		mistake(ini, "a line of %zu bytes; it may have %d", len,
			UZ_INI_LINE_MAX);
		return false;
	}
	for (i = 0; i < len; i += n) {
		n = character(p + i);
		if (n)
			continue;
		mistake(ini,
			"byte 0x%02x in column %zu is not text; the file has "
			"to be plain UTF-8",
			p[i], i + 1);
		return false;
	}
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Without blanks at either end. */
static char *trim(char *text)
{
	size_t len;

	while (is_blank(*text))
		text++;
	len = strlen(text);
	while (len && is_blank(text[len - 1]))
		text[--len] = '\0';
	return text;
}

/* Where this section, or with a key this setting of it, has been; or NULL. */
static const struct uz_ini_line *find_seen(const struct ini *ini,
					   const char *section, const char *key)
{
	size_t i;

	for (i = 0; i < ini->nr; i++) {
		const struct uz_ini_line *line = &ini->seen[i];

		if (strcmp(line->section, section) || !line->key != !key)
			continue;
		if (!key || !strcmp(line->key, key))
			return line;
	}
	return NULL;
}

static int add_seen(struct ini *ini)
{
	struct uz_ini_line *seen;
	size_t cap;

	if (ini->nr == ini->cap) {
		cap = ini->cap ? 2 * ini->cap : 32;
		seen = realloc(ini->seen, cap * sizeof(*seen));
		if (!seen)
			return -ENOMEM;
		ini->seen = seen;
		ini->cap = cap;
	}
	ini->seen[ini->nr++] = ini->at;
	ini->reader->line(ini->reader->arg, &ini->at);
	return 0;
}

static int take_section(struct ini *ini, char *text)
{
	const struct uz_ini_line *before;
	size_t len = strlen(text);

	ini->at.section = NULL;
	if (text[len - 1] != ']') {
		mistake(ini,
			"'%.*s': a section is written [NAME], and nothing "
			"else on its line",
			QUOTED, text);
		return 0;
	}
	text[len - 1] = '\0';
	ini->at.section = trim(text + 1);
	before = find_seen(ini, ini->at.section, NULL);
	if (!before)
		return add_seen(ini);
	mistake(ini,
		"section [%.*s] is there already, in line %u: make one of "
		"them",
		QUOTED, ini->at.section, before->number);
	return 0;
}

static int take_setting(struct ini *ini, char *text)
{
	const struct uz_ini_line *before;
	char *equals = strchr(text, '=');

	if (!equals || equals == text) {
		mistake(ini, "'%.*s': a setting is written KEY = VALUE", QUOTED,
			text);
		return 0;
	}
	/* Whose it is nobody knows; that was told at the section's line. */
	if (!ini->at.section)
		return 0;
	*equals = '\0';
	ini->at.key = trim(text);
	ini->at.value = trim(equals + 1);
	if (!*ini->at.section) {
		mistake(ini,
			"'%.*s' stands before any section: write [NAME] "
			"above it",
			QUOTED, ini->at.key);
		return 0;
	}
	before = find_seen(ini, ini->at.section, ini->at.key);
	if (!before)
		return add_seen(ini);
	mistake(ini, "'%.*s' is set already, in line %u: remove one of them",
		QUOTED, ini->at.key, before->number);
	return 0;
}

static int take_line(struct ini *ini, char *line, size_t len)
{
	char *text;

	ini->at.number++;
	ini->at.key = NULL;
	ini->at.value = NULL;
	if (!is_text(ini, line, len))
		return 0;
	text = trim(line);
	if (!*text || *text == '#' || *text == ';')
		return 0;
	return *text == '[' ? take_section(ini, text) : take_setting(ini, text);
}

int uz_ini_parse(char *text, size_t len, const struct uz_ini_reader *reader)
{
	static const char mark[] =
		"\xef\xbb\xbf"; /* some editors' first bytes */
	struct ini ini = { .reader = reader, .at = { .section = "" } };
	char *end = text + len, *next;
	int rc = 0;

	if (!strncmp(text, mark, strlen(mark)))
		text += strlen(mark);
	for (; text < end && !rc; text = next + 1) {
		next = memchr(text, '\n', (size_t)(end - text));
		if (!next)
			next = end;
		*next = '\0';
		rc = take_line(&ini, text, (size_t)(next - text));
	}
	free(ini.seen);
	return rc;
}

/* All of it, up to what may be. Returns the length or -errno. */
static ssize_t read_all(int fd, char *text)
{
	size_t len = 0;
	ssize_t n;

	while (len <= UZ_INI_FILE_MAX) {
		n = read(fd, text + len, UZ_INI_FILE_MAX + 1 - len);
		if (n < 0)
			return -errno;
		if (!n)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

int uz_ini_read(const char *path, const struct uz_ini_reader *reader,
		struct uz_err *err)
{
	/* What has nobody at its other end is not waited for. */
	uz_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	uz_autofree char *text = NULL;
	struct stat st;
	ssize_t len;

	if (fd < 0 || fstat(fd, &st))
		return uz_err_set(err, -errno, "%s", strerror(errno));
	if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3))
		return 0;
	if (!S_ISREG(st.st_mode))
		return uz_err_set(err, -EINVAL, "not a regular file");
	text = malloc(UZ_INI_FILE_MAX + 2);
	if (!text)
		return uz_err_set(err, -ENOMEM, "out of memory");
	len = read_all(fd, text);
	if (len < 0)
		return uz_err_set(err, (int)len, "%s", strerror((int)-len));
	if (len > UZ_INI_FILE_MAX)
		return uz_err_set(err, -EINVAL,
				  "more than %d bytes; split it up",
				  UZ_INI_FILE_MAX);
	text[len] = '\0';
	if (uz_ini_parse(text, (size_t)len, reader))
		return uz_err_set(err, -ENOMEM, "out of memory");
	return 0;
}
