// SPDX-License-Identifier: MIT
/*
 * The daemon's configuration: each key with what it takes and what it refuses,
 * names of devices, and where the run directory is.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <uzram/daemon.h>

#include "config.h"

#define MIB (UINT64_C(1) << 20)

static struct uz_daemon_config config;

static int set(const char *key, const char *value)
{
	struct uz_err err = { 0 };
	int rc = uz_daemon_config_set(&config, key, value, &err);

	if (rc)
		assert_true(err.code == rc && *err.text);
	return rc;
}

/* Refused with @code, and nothing has changed. */
static void refuses(const char *key, const char *value, int code)
{
	struct uz_daemon_config before = config;
	int rc = set(key, value);

	if (rc != code)
		fail_msg("%s=%s gives %d instead of %d", key, value, rc, code);
	assert_memory_equal(&before, &config, sizeof(config));
	assert_int_equal(uz_daemon_config_set(&config, key, value, NULL), code);
}

static int setup(void **state)
{
	(void)state;
	memset(&config, 0xa5, sizeof(config));
	uz_daemon_config_init(&config);
	return 0;
}

static void test_defaults(void **state)
{
	(void)state;
	assert_string_equal(config.name, "");
	assert_string_equal(config.dir, "");
	assert_string_equal(config.codecs[0].text, "");
	assert_string_equal(config.frontend, "fuse");
	assert_int_equal(config.size, 0);
	assert_int_equal(config.mem_limit, 0);
	assert_int_equal(config.threads, 0);
	assert_int_equal(config.workers, UZ_WORKERS_AUTO);
	assert_int_equal(config.ready_fd, -1);
}

static void test_size(void **state)
{
	(void)state;
	assert_int_equal(set("size", "64M"), 0);
	assert_int_equal(config.size, 64 * MIB);
	assert_int_equal(set("size", "4096"), 0);
	assert_int_equal(config.size, UZ_DISKSIZE_MIN);
	assert_int_equal(set("size", "16T"), 0);
	assert_int_equal(config.size, UZ_DISKSIZE_MAX);
	assert_int_equal(set("size", "50%"), 0);
	assert_true(config.size >= MIB);
	assert_int_equal(set("size", "max(2M, 1M + 64K)"), 0);
	assert_int_equal(config.size, 2 * MIB);
	assert_int_equal(set("zram-size", "min(ram, 64)"), 0);
	assert_int_equal(config.size, 64 * MIB);
	assert_int_equal(set("zram-size", "32M"), 0);
	assert_int_equal(config.size, 32 * MIB);
	refuses("zram-size", "0", -ERANGE);
	refuses("zram-size", "ram /", -EINVAL);
	refuses("size", "min(1, 2)", -ERANGE);
	refuses("size", "0", -ERANGE);
	refuses("size", "4095", -ERANGE);
	refuses("size", "17T", -ERANGE);
	refuses("size", "99999999999999999999", -ERANGE);
	refuses("size", "-1", -EINVAL);
	refuses("size", "", -EINVAL);
	refuses("size", "much", -EINVAL);
}

static void test_mem_limit(void **state)
{
	(void)state;
	assert_int_equal(set("mem_limit", "8M"), 0);
	assert_int_equal(config.mem_limit, 8 * MIB);
	assert_int_equal(set("zram-resident-limit", "1"), 0);
	assert_int_equal(config.mem_limit, MIB);
	assert_int_equal(set("mem_limit", "0"), 0);
	assert_int_equal(config.mem_limit, 0);
	refuses("mem_limit", "-8M", -EINVAL);
	refuses("mem_limit", "17T", -ERANGE);
}

static void test_codec(void **state)
{
	(void)state;
	assert_int_equal(set("codec", "store"), 0);
	assert_string_equal(config.codecs[0].text, "store");
	refuses("codec", "lz5", -EINVAL);
	refuses("codec", "store:colour=red", -EINVAL);
	refuses("compression-algorithm", "", -EINVAL);
	assert_string_equal(config.codecs[0].text, "store");
	assert_int_equal(set("compression-algorithm", "store"), 0);
}

static void has_codec(unsigned int priority, const char *text, const char *dict)
{
	assert_string_equal(config.codecs[priority].text, text);
	assert_string_equal(config.codecs[priority].dict, dict);
}

/*
 * Several, as zram-generator writes them; the next setting replaces them all.
 */
static void test_codecs(void **state)
{
	(void)state;
	assert_int_equal(set("compression-algorithm", " store  store store\t"),
			 0);
	has_codec(0, "store", "");
	has_codec(1, "store", "");
	has_codec(2, "store", "");
	has_codec(3, "", "");
	assert_int_equal(set("codec", "store store store store"), 0);
	has_codec(3, "store", "");
	refuses("codec", "store store store store store", -EINVAL);
	refuses("codec", "store lz5", -EINVAL);
	refuses("codec", "store (type=idle)", -EINVAL);
	refuses("codec", "store()", -EINVAL);
	refuses("codec", "store(level=1", -EINVAL);
	refuses("codec", "store(", -EINVAL);
	refuses("codec", "store:", -EINVAL);
	refuses("codec", " ", -EINVAL);
	has_codec(3, "store", "");
	assert_int_equal(set("codec", "store"), 0);
	has_codec(1, "", "");
}

static void test_dict_refused(void **state)
{
	char path[sizeof(config.codecs[0].dict) + 16] = "store:dict=/";

	(void)state;
	refuses("codec", "store:dict=/dict", -EINVAL);
	refuses("codec", "store(dictionary=dict)", -EINVAL);
	refuses("codec", "store:dict=", -EINVAL);
	refuses("codec", "store:dict=1f", -EINVAL);
	memset(path + strlen(path), 'x', sizeof(path) - strlen(path) - 1);
	refuses("codec", path, -EINVAL);
}

#if UZ_HAVE_ZSTD
static void test_dict(void **state)
{
	(void)state;
	assert_int_equal(set("codec", "zstd:dict=/etc/a"), 0);
	has_codec(0, "zstd", "/etc/a");
	assert_int_equal(set("codec", "store zstd(dictionary=/etc/b)"), 0);
	has_codec(0, "store", "");
	has_codec(1, "zstd", "/etc/b");
	assert_int_equal(set("codec", "zstd(dict=/etc/c,level=9) zstd:level=1"),
			 0);
	has_codec(0, "zstd:level=9", "/etc/c");
	has_codec(1, "zstd:level=1", "");
	refuses("codec", "zstd:level=3,dict=1f", -EINVAL);
	refuses("codec", "zstd:level=999,dict=/etc/a", -ERANGE);
	assert_int_equal(set("codec", "store"), 0);
	has_codec(0, "store", "");
}
#endif

static void test_zpool(void **state)
{
	struct uz_err err;

	(void)state;
	assert_string_equal(config.zpool, "");
	assert_int_equal(set("zpool", uz_pool_backend(0)), 0);
	assert_string_equal(config.zpool, uz_pool_backend(0));
	refuses("zpool", "", -ENOTSUP);
	refuses("zpool", "no-such", -ENOTSUP);
	refuses("zpool", "a name longer than any", -ENOTSUP);
	assert_int_equal(uz_daemon_config_set(&config, "zpool", "no", &err),
			 -ENOTSUP);
	assert_non_null(strstr(err.text, uz_pool_backend(0)));
}

static void test_watchdog(void **state)
{
	(void)state;
	assert_int_equal(config.watchdog, 0);
	assert_int_equal(set("watchdog", "3600"), 0);
	assert_int_equal(config.watchdog, 3600);
	refuses("watchdog", "3601", -EINVAL);
	refuses("watchdog", "1s", -EINVAL);
	assert_int_equal(set("watchdog", "0"), 0);
	assert_int_equal(config.watchdog, 0);
}

static void test_awake(void **state)
{
	(void)state;
	assert_int_equal(config.awake, UZ_AWAKE_AUTO);
	assert_int_equal(set("awake", "on"), 0);
	assert_int_equal(config.awake, UZ_AWAKE_ON);
	assert_int_equal(set("awake", "off"), 0);
	assert_int_equal(config.awake, UZ_AWAKE_OFF);
	refuses("awake", "yes", -EINVAL);
	assert_int_equal(config.awake, UZ_AWAKE_OFF);
	assert_int_equal(set("awake", "auto"), 0);
	assert_int_equal(config.awake, UZ_AWAKE_AUTO);
}

static void test_others(void **state)
{
	char path[sizeof(config.dir) + 2];

	(void)state;
	assert_int_equal(set("threads", "1"), 0);
	assert_int_equal(set("threads", "64"), 0);
	assert_int_equal(config.threads, 64);
	refuses("threads", "0", -EINVAL);
	refuses("threads", "65", -EINVAL);
	refuses("threads", "-1", -EINVAL);
	refuses("threads", "18446744073709551617", -EINVAL);
	refuses("threads", "4 ", -EINVAL);
	refuses("threads", "", -EINVAL);
	assert_int_equal(set("workers", "0"), 0);
	assert_int_equal(config.workers, 0);
	assert_int_equal(set("workers", "64"), 0);
	assert_int_equal(config.workers, 64);
	refuses("workers", "65", -EINVAL);
	refuses("workers", "-1", -EINVAL);
	refuses("workers", "", -EINVAL);
	refuses("workers", "automatic", -EINVAL);
	assert_int_equal(set("workers", "auto"), 0);
	assert_int_equal(config.workers, UZ_WORKERS_AUTO);
	assert_false(config.swap);
	assert_int_equal(set("swap", "on"), 0);
	assert_true(config.swap);
	refuses("swap", "yes", -EINVAL);
	assert_true(config.reserve == UZ_RESERVE_AUTO);
	assert_int_equal(set("reserve", "8M"), 0);
	assert_true(config.reserve == UINT64_C(8) << 20);
	refuses("reserve", "much", -EINVAL);
	refuses("reserve", "17T", -ERANGE);
	assert_int_equal(set("reserve", "0"), 0);
	assert_true(config.reserve == 0);
	assert_string_equal(config.policy, "");
	assert_int_equal(set("policy", "auto,idle=5"), 0);
	assert_string_equal(config.policy, "auto,idle=5");
	refuses("policy", "on", -EINVAL);
	assert_false(config.track_age);
	assert_int_equal(set("track_age", "on"), 0);
	assert_true(config.track_age);
	refuses("track_age", "yes", -EINVAL);
	assert_int_equal(set("track_age", "off"), 0);
	assert_false(config.track_age);
	assert_true(config.compaction);
	assert_int_equal(set("compaction", "off"), 0);
	assert_false(config.compaction);
	refuses("compaction", "on", -EINVAL);
	refuses("compaction", "", -EINVAL);
	assert_int_equal(set("compaction", "auto"), 0);
	assert_true(config.compaction);
	assert_int_equal(config.transport, UZ_TRANSPORT_AUTO);
	assert_int_equal(set("transport", "io_uring"), 0);
	assert_int_equal(config.transport, UZ_TRANSPORT_IO_URING);
	assert_int_equal(set("transport", "fuse"), 0);
	assert_int_equal(config.transport, UZ_TRANSPORT_FUSE);
	assert_int_equal(set("transport", "auto"), 0);
	assert_int_equal(config.transport, UZ_TRANSPORT_AUTO);
	refuses("transport", "", -EINVAL);
	refuses("transport", "uring", -EINVAL);
	assert_true(config.buffer_budget == 0);
	assert_int_equal(set("buffer_budget", "1M"), 0);
	assert_true(config.buffer_budget == UINT64_C(1) << 20);
	refuses("buffer_budget", "much", -EINVAL);
	refuses("frontend", "smoke", -EINVAL);
	refuses("frontend", "", -EINVAL);
	assert_int_equal(set("dir", "/mnt/x"), 0);
	assert_string_equal(config.dir, "/mnt/x");
	refuses("dir", "x", -EINVAL);
	refuses("dir", "", -EINVAL);
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	refuses("dir", path, -EINVAL);
	path[sizeof(config.dir) - 1] = '\0';
	assert_int_equal(set("dir", path), 0);
	refuses("colour", "red", -EINVAL);
	refuses("", "", -EINVAL);
	refuses("SIZE", "1M", -EINVAL);
}

static void test_names(void **state)
{
	static const char *const good[] = { "a", "uz0", "A.b-c_9", "0",
					    "1234567890123456789012345678901" };
	static const char *const bad[] = {
		"",	"a/b",
		"/",	".",
		"..",	".a",
		"-a",	"a b",
		"a\nb", "\xe4z",
		"~",	"a\\",
		"a:b",	"12345678901234567890123456789012",
	};
	struct uz_err err;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(*good); i++)
		if (uz_daemon_check_name(good[i], &err))
			fail_msg("'%s' is refused", good[i]);
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		if (uz_daemon_check_name(bad[i], &err) != -EINVAL)
			fail_msg("'%s' is taken", bad[i]);
		assert_true(err.code == -EINVAL && *err.text);
		assert_int_equal(uz_daemon_check_name(bad[i], NULL), -EINVAL);
	}
}

static void test_rundir(void **state)
{
	char path[64] = "untouched", small[8];

	(void)state;
	setenv("UZRAM_RUNDIR", "/somewhere", 1);
	assert_int_equal(uz_daemon_rundir(path, sizeof(path)), 0);
	assert_string_equal(path, "/somewhere");
	assert_int_equal(uz_daemon_rundir(small, sizeof(small)), -ENAMETOOLONG);
	setenv("UZRAM_RUNDIR", "", 1);
	setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
	assert_int_equal(uz_daemon_rundir(path, sizeof(path)), 0);
	assert_string_equal(path,
			    geteuid() ? "/run/user/7/uzram" : "/run/uzram");
	unsetenv("XDG_RUNTIME_DIR");
	assert_int_equal(uz_daemon_rundir(path, sizeof(path)),
			 geteuid() ? -ENOENT : 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_defaults, setup),
		cmocka_unit_test_setup(test_size, setup),
		cmocka_unit_test_setup(test_mem_limit, setup),
		cmocka_unit_test_setup(test_codec, setup),
		cmocka_unit_test_setup(test_codecs, setup),
		cmocka_unit_test_setup(test_dict_refused, setup),
#if UZ_HAVE_ZSTD
		cmocka_unit_test_setup(test_dict, setup),
#endif
		cmocka_unit_test_setup(test_zpool, setup),
		cmocka_unit_test_setup(test_watchdog, setup),
		cmocka_unit_test_setup(test_awake, setup),
		cmocka_unit_test_setup(test_others, setup),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_rundir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
