// SPDX-License-Identifier: MIT
/*
 * The three ways in which text leaves: errors with a sentence, text that
 * grows, lines on stderr.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <uzram/util/err.h>
#include <uzram/util/log.h>
#include <uzram/util/strbuf.h>

/* The linker leads strbuf.c here (--wrap=realloc). */
static bool no_memory;
void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);

void *__wrap_realloc(void *p, size_t size)
{
	return no_memory ? NULL : __real_realloc(p, size);
}

/* ---- err ---- */

static void test_err(void **state)
{
	struct uz_err err;

	(void)state;
	errno = EXDEV;
	assert_int_equal(uz_err_set(&err, -EBUSY, "%s: %d", "uz0", 7), -EBUSY);
	assert_int_equal(err.code, -EBUSY);
	assert_string_equal(err.text, "uz0: 7");
	assert_int_equal(uz_err_set(NULL, -EIO, "%s", "nobody asks"), -EIO);
	assert_int_equal(errno, EXDEV);
}

static void test_err_one_line(void **state)
{
	char text[2 * UZ_ERR_TEXT];
	struct uz_err err;

	(void)state;
	assert_int_equal(
		uz_err_set(&err, -EINVAL, "'%s'", "a\nb\r\t\033[31m\x7f"),
		-EINVAL);
	assert_string_equal(err.text, "'a?b???[31m?'");
	assert_int_equal(uz_err_set(&err, -EINVAL, "'%s'", "\xc3\xa4"),
			 -EINVAL);
	assert_string_equal(err.text, "'\xc3\xa4'");
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(uz_err_set(&err, -EINVAL, "%s", text), -EINVAL);
	assert_int_equal(strlen(err.text), UZ_ERR_TEXT - 1);
}

/* ---- strbuf ---- */

static void test_strbuf(void **state)
{
	struct uz_strbuf b = { 0 };
	char digits[8];

	(void)state;
	assert_int_equal(uz_strbuf_error(&b), 0);
	uz_strbuf_add(&b, "%s", "");
	assert_string_equal(b.data, "");
	/* Over every boundary at which it grows. */
	for (unsigned int i = 0; i < 2000; i++) {
		uz_strbuf_add(&b, "%03u ", i % 1000);
		assert_int_equal(b.len, (i + 1) * 4);
		assert_int_equal(strlen(b.data), b.len);
		assert_true(b.cap > b.len);
	}
	assert_int_equal(uz_strbuf_error(&b), 0);
	for (unsigned int i = 0; i < 2000; i++) {
		snprintf(digits, sizeof(digits), "%03u ", i % 1000);
		assert_memory_equal(b.data + (size_t)i * 4, digits, 4);
	}
	uz_strbuf_free(&b);
	assert_null(b.data);
	assert_int_equal(b.len, 0);
	uz_strbuf_free(&b);
}

static void test_strbuf_at_once(void **state)
{
	struct uz_strbuf b = { 0 };
	char text[5000];

	(void)state;
	memset(text, 'y', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	/* 255 and 256 bytes: the last that fits and the first that does not. */
	uz_strbuf_add(&b, "%.255s", text);
	assert_int_equal(b.len, 255);
	uz_strbuf_add(&b, "%.1s", text);
	uz_strbuf_add(&b, "%s", text);
	assert_int_equal(uz_strbuf_error(&b), 0);
	assert_int_equal(strlen(b.data), 256 + 4999);
	uz_strbuf_free(&b);
}

static void test_strbuf_no_memory(void **state)
{
	struct uz_strbuf b = { 0 };

	(void)state;
	uz_strbuf_add(&b, "kept");
	no_memory = true;
	uz_strbuf_add(&b, "%1000s", "");
	no_memory = false;
	assert_int_equal(uz_strbuf_error(&b), -ENOMEM);
	/* It sticks, and what was there is not touched. */
	uz_strbuf_add(&b, " and more");
	assert_int_equal(uz_strbuf_error(&b), -ENOMEM);
	assert_string_equal(b.data, "kept");
	uz_strbuf_free(&b);
	assert_int_equal(uz_strbuf_error(&b), 0);
}

/* ---- log ---- */

/* Standard error goes to a pipe until end_capture(). */
struct capture {
	int saved;
	int read_end;
};

static void begin_capture(struct capture *c)
{
	int fd[2];

	assert_int_equal(pipe2(fd, O_NONBLOCK), 0);
	c->saved = dup(STDERR_FILENO);
	assert_true(c->saved >= 0);
	assert_true(dup2(fd[1], STDERR_FILENO) >= 0);
	close(fd[1]);
	c->read_end = fd[0];
}

/* What came out. Nothing is asserted before stderr is back in its place. */
static void end_capture(struct capture *c, char *text, size_t size)
{
	ssize_t n = read(c->read_end, text, size - 1);

	dup2(c->saved, STDERR_FILENO);
	close(c->saved);
	close(c->read_end);
	text[n < 0 ? 0 : n] = '\0';
}

static void test_log_line(void **state)
{
	char out[1024], long_text[2000];
	struct capture c;
	int after;

	(void)state;
	unsetenv("JOURNAL_STREAM");
	begin_capture(&c);
	uz_log_init("uzramd uz0", UZ_LOG_NOTICE);
	errno = EXDEV;
	uz_log(UZ_LOG_ERR, "page %d", 5);
	after = errno;
	uz_log(UZ_LOG_NOTICE, "a\nb\033c");
	uz_log(UZ_LOG_INFO, "not this one");
	end_capture(&c, out, sizeof(out));
	assert_string_equal(out, "uzramd uz0: page 5\nuzramd uz0: a?b?c\n");
	assert_int_equal(after, EXDEV);

	memset(long_text, 'z', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	begin_capture(&c);
	uz_log(UZ_LOG_ERR, "%s", long_text);
	end_capture(&c, out, sizeof(out));
	assert_in_range(strlen(out), 400, 512);
	assert_ptr_equal(strchr(out, '\n'), out + strlen(out) - 1);
}

static void test_log_journal(void **state)
{
	char out[1024], stream[64];
	struct capture c;
	struct stat st;

	(void)state;
	begin_capture(&c);
	fstat(STDERR_FILENO, &st);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev,
		 (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	uz_log_init("who", UZ_LOG_DEBUG);
	uz_log(UZ_LOG_WARN, "one");
	uz_log(UZ_LOG_DEBUG, "two");
	/* The journal is somewhere else: no prefixes for it here. */
	setenv("JOURNAL_STREAM", "1:1", 1);
	uz_log_init("who", UZ_LOG_DEBUG);
	uz_log(UZ_LOG_WARN, "three");
	end_capture(&c, out, sizeof(out));
	unsetenv("JOURNAL_STREAM");
	assert_string_equal(out, "<4>one\n<7>two\nwho: three\n");
}

/* Kept until it is asked for, as far as there is room; once. */
static void test_log_held(void **state)
{
	char before[16], out[8192], line[400];
	struct capture c;
	ssize_t n;
	int i;

	(void)state;
	uz_log_init("who", UZ_LOG_INFO);
	memset(line, 'z', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	begin_capture(&c);
	uz_log_hold();
	uz_log(UZ_LOG_WARN, "one");
	uz_log(UZ_LOG_DEBUG, "not this one");
	for (i = 0; i < 13; i++)
		uz_log(UZ_LOG_WARN, "%s", line);
	n = read(c.read_end, before, sizeof(before));
	uz_log_release();
	uz_log(UZ_LOG_WARN, "two");
	uz_log_release();
	end_capture(&c, out, sizeof(out));
	assert_int_equal(n, -1);
	assert_int_equal(strncmp(out, "who: one\nwho: zzz", 17), 0);
	assert_non_null(strstr(out, "z\nwho: 3 more lines were not kept\n"
				    "who: two\n"));
	assert_int_equal(strlen(strstr(out, "who: two\n")), 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_err),
		cmocka_unit_test(test_err_one_line),
		cmocka_unit_test(test_strbuf),
		cmocka_unit_test(test_strbuf_at_once),
		cmocka_unit_test(test_strbuf_no_memory),
		cmocka_unit_test(test_log_line),
		cmocka_unit_test(test_log_journal),
		cmocka_unit_test(test_log_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
