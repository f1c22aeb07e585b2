// SPDX-License-Identifier: MIT
/*
 * Configuration files: what is read as what, each mistake by the number of its
 * line, files that are none, and any bytes at all.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <uzram/util/ini.h>
#include <uzram/util/strbuf.h>

/* The linker leads ini.c here (--wrap=realloc). */
static bool no_memory;
void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);

void *__wrap_realloc(void *p, size_t size)
{
	return no_memory ? NULL : __real_realloc(p, size);
}

/* ---- what was told, as text ---- */

static void note_line(void *arg, const struct uz_ini_line *line)
{
	if (line->key)
		uz_strbuf_add(arg, "%u %s.%s=%s\n", line->number, line->section,
			      line->key, line->value);
	else
		uz_strbuf_add(arg, "%u [%s]\n", line->number, line->section);
}

static void note_mistake(void *arg, const struct uz_ini_line *at,
			 const char *text)
{
	uz_strbuf_add(arg, "%u (%s) %s\n", at->number,
		      at->section ? at->section : "?", text);
}

/* What is told of a text; to be freed. */
static struct uz_strbuf told_of(const char *text, size_t len)
{
	struct uz_strbuf b = { 0 };
	const struct uz_ini_reader reader = { note_line, note_mistake, &b };
	char *copy = malloc(len + 1);

	assert_non_null(copy);
	memcpy(copy, text, len);
	copy[len] = '\0';
	uz_strbuf_add(&b, "%s", "");
	assert_int_equal(uz_ini_parse(copy, len, &reader), 0);
	free(copy);
	return b;
}

static void tells(const char *text, const char *wanted)
{
	struct uz_strbuf b = told_of(text, strlen(text));

	assert_string_equal(b.data, wanted);
	uz_strbuf_free(&b);
}

/* One mistake, that begins and contains so. */
static void complains(const char *text, const char *begin, const char *words)
{
	struct uz_strbuf b = told_of(text, strlen(text));

	if (strncmp(b.data, begin, strlen(begin)) || !strstr(b.data, words) ||
	    strchr(b.data, '\n') != b.data + b.len - 1)
		fail_msg("'%s' gives: %s", text, b.data);
	uz_strbuf_free(&b);
}

/* ---- lines ---- */

static void test_lines(void **state)
{
	(void)state;
	tells("", "");
	tells("\n\n \t\n# no\n  ; nor this = that\n#", "");
	tells("[a]\nx=1\ny = 2 = 3\n", "1 [a]\n2 a.x=1\n3 a.y=2 = 3\n");
	tells("[a]\nlast=line without end",
	      "1 [a]\n2 a.last=line without end\n");
	tells("\t[ b c ] \n\tx\t=\t v w \t\n", "1 [b c]\n2 b c.x=v w\n");
	tells("[a]\nx=\n", "1 [a]\n2 a.x=\n");
	tells("[a]\nx = 1 # 2\n", "1 [a]\n2 a.x=1 # 2\n");
	tells("[a]\nx=1\n[b]\nx=2\n", "1 [a]\n2 a.x=1\n3 [b]\n4 b.x=2\n");
	tells("\xef\xbb\xbf[a]\n", "1 [a]\n");
	tells("[\xc3\xa4]\np=/\xe2\x82\xac/\xf0\x9f\x98\x80\n",
	      "1 [\xc3\xa4]\n2 \xc3\xa4.p=/\xe2\x82\xac/\xf0\x9f\x98\x80\n");
}

static void test_mistakes(void **state)
{
	(void)state;
	complains("x=1\n", "1 () 'x' stands before any section", "[NAME]");
	complains("size\n", "1 () 'size': a setting is written", "KEY = VALUE");
	complains("=1\n", "1 () '=1': a setting", "KEY = VALUE");
	complains("[a\n", "1 (?) '[a': a section", "[NAME]");
	complains("[a] # b\n", "1 (?) '[a] # b': a section", "nothing else");
	complains("[\n", "1 (?) '[': a section", "[NAME]");
	tells("[a]\nx\n", "1 [a]\n2 (a) 'x': a setting is written KEY = "
			  "VALUE\n");
	tells("[a]\nx=1\nx = 2\n", "1 [a]\n2 a.x=1\n3 (a) 'x' is set already, "
				   "in line 2: remove one of them\n");
	tells("[a]\n[b]\n[a]\nx=1\n",
	      "1 [a]\n2 [b]\n3 (a) section [a] is there already, in line 1: "
	      "make one of them\n4 a.x=1\n");
	/* Of a section that is none, only its own line is told. */
	tells("[a\nx=1\ny=2\n[b]\nx=1\n",
	      "1 (?) '[a': a section is written [NAME], and nothing else on "
	      "its line\n4 [b]\n5 b.x=1\n");
	/* All of them, not the first. */
	tells("[a]\nx\ny\n", "1 [a]\n2 (a) 'x': a setting is written KEY = "
			     "VALUE\n3 (a) 'y': a setting is written KEY = "
			     "VALUE\n");
}

static void test_bytes(void **state)
{
	/* Each with the column of what is wrong in it. */
	static const struct {
		const char *bytes;
		unsigned int column;
	} bad[] = {
		{ "a\r", 2 },
		{ "\x1b[31m", 1 },
		{ "x=\x7f", 3 },
		{ "\x80", 1 },
		{ "\xc0\xaf", 1 },
		{ "\xc1\xbf", 1 },
		{ "\xc2", 1 },
		{ "\xc2\x85", 1 },
		{ "a\xe2\x82", 2 },
		{ "\xe0\x80\xaf", 1 },
		{ "\xed\xa0\x80", 1 },
		{ "\xf0\x80\x80\xaf", 1 },
		{ "\xf4\x90\x80\x80", 1 },
		{ "\xf5\x80\x80\x80", 1 },
		{ "\xff", 1 },
		{ "# \xfe", 3 },
	};
	struct uz_strbuf b;
	char begin[64];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		snprintf(begin, sizeof(begin), "1 () byte 0x%02x in column %u",
			 (unsigned char)bad[i].bytes[bad[i].column - 1],
			 bad[i].column);
		complains(bad[i].bytes, begin, "not text");
	}
	b = told_of("[a]\nx=1\0y\n", 10);
	assert_non_null(strstr(b.data, "2 (a) byte 0x00 in column 4"));
	uz_strbuf_free(&b);
}

static void test_long_lines(void **state)
{
	char *text = malloc(UZ_INI_LINE_MAX + 3);
	struct uz_strbuf b;

	(void)state;
	assert_non_null(text);
	memset(text, 'v', UZ_INI_LINE_MAX + 1);
	text[0] = '#';
	b = told_of(text, UZ_INI_LINE_MAX);
	assert_string_equal(b.data, "");
	uz_strbuf_free(&b);
	text[UZ_INI_LINE_MAX + 1] = '\n';
	b = told_of(text, UZ_INI_LINE_MAX + 2);
	assert_string_equal(b.data,
			    "1 () a line of 8193 bytes; it may have 8192\n");
	uz_strbuf_free(&b);
	free(text);
}

static void test_no_memory(void **state)
{
	struct uz_strbuf b = { 0 };
	const struct uz_ini_reader reader = { note_line, note_mistake, &b };
	char text[] = "[a]\n";

	(void)state;
	no_memory = true;
	assert_int_equal(uz_ini_parse(text, strlen(text), &reader), -ENOMEM);
	no_memory = false;
	assert_null(b.data);
}

/* ---- files ---- */

static char dir[] = "/tmp/uz-ini-XXXXXX";

static const char *file(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void put(const char *name, const char *text, size_t len)
{
	FILE *f = fopen(file(name), "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static int read_file(const char *path, char **said)
{
	static struct uz_err err;
	struct uz_strbuf b = { 0 };
	const struct uz_ini_reader reader = { note_line, note_mistake, &b };
	int rc;

	err = (struct uz_err){ 0 };
	rc = uz_ini_read(path, &reader, &err);
	assert_int_equal(err.code, rc);
	assert_true(!*err.text == !rc);
	*said = b.data;
	return rc;
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

static void refuses(const char *name, int code)
{
	char *said;

	assert_int_equal(read_file(file(name), &said), code);
	assert_null(said);
	assert_int_equal(unlink(file(name)) && rmdir(file(name)), 0);
}

static void test_files(void **state)
{
	char *text = calloc(1, UZ_INI_FILE_MAX + 1), *said;

	(void)state;
	assert_non_null(text);
	memset(text, '\n', UZ_INI_FILE_MAX + 1);
	memcpy(text, "[a]\nx=1", 7);
	put("largest", text, UZ_INI_FILE_MAX);
	assert_int_equal(read_file(file("largest"), &said), 0);
	assert_string_equal(said, "1 [a]\n2 a.x=1\n");
	free(said);
	unlink(file("largest"));
	put("too_large", text, UZ_INI_FILE_MAX + 1);
	free(text);
	refuses("too_large", -EINVAL);
	assert_int_equal(read_file("/dev/null", &said), 0);
	assert_null(said);
	assert_int_equal(read_file(file("none"), &said), -ENOENT);
	assert_int_equal(read_file("/dev/zero", &said), -EINVAL);
	assert_int_equal(mkfifo(file("fifo"), 0600), 0);
	refuses("fifo", -EINVAL);
	assert_int_equal(mkdir(file("dir"), 0700), 0);
	refuses("dir", -EINVAL);
	assert_int_equal(symlink("loop", file("loop")), 0);
	refuses("loop", -ELOOP);
	if (geteuid()) {
		put("secret", "", 0);
		assert_int_equal(chmod(file("secret"), 0), 0);
		refuses("secret", -EACCES);
	}
}

/* ---- any bytes ---- */

/*
 * From pieces that mean something: whatever they are, each line is told of at
 * most once, in order, and what is told is text.
 */
static void test_random(void **state)
{
	static const char *const pieces[] = {
		"[", "]",  "a",	       "b",    "=",  " ",     "\n",    "\n",
		"#", "\t", "\xc3\xa4", "\xc3", "\r", "[a]\n", "x=1\n",
	};
	const char *seed_text = getenv("UZ_SEED");
	unsigned int seed = seed_text ? (unsigned int)atol(seed_text)
				      : (unsigned int)time(NULL);
	unsigned int round, last, number;
	struct uz_strbuf text, b;
	char *line, *next;
	int i, n;

	(void)state;
	print_message("# seed %u\n", seed);
	srand(seed);
	for (round = 0; round < 2000; round++) {
		text = (struct uz_strbuf){ 0 };
		n = rand() % 60;
		for (i = 0; i <= n; i++)
			uz_strbuf_add(
				&text, "%s",
				pieces[(size_t)rand() %
				       (sizeof(pieces) / sizeof(*pieces))]);
		b = told_of(text.data, text.len);
		last = 0;
		for (line = b.data; *line; line = next + 1) {
			next = strchr(line, '\n');
			assert_non_null(next);
			number = (unsigned int)strtoul(line, NULL, 10);
			if (number <= last)
				fail_msg("after line %u: %s", last, line);
			last = number;
		}
		uz_strbuf_free(&b);
		uz_strbuf_free(&text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test_setup_teardown(test_files, make_dir,
						remove_dir),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
