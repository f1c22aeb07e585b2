// SPDX-License-Identifier: MIT
/*
 * Configuration files: which are read and which of them is stronger, whose
 * mistakes end a device and whose do not, and every mistake with its place.
 */
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <uzram/daemon/conf.h>
#include <uzram/util/strbuf.h>

#define MIB (UINT64_C(1) << 20)

static char root[64];
static struct uz_strbuf told;
static struct uz_daemon_config config;
static struct uz_err err;

/* ---- files below a root of our own ---- */

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int setup(void **state)
{
	(void)state;
	strcpy(root, "/tmp/uz-conf-XXXXXX");
	if (!mkdtemp(root))
		return -1;
	setenv("UZRAM_CONFIG_ROOT", root, 1);
	uz_daemon_config_init(&config);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	uz_strbuf_free(&told);
	return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static const char *at(const char *name)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s%s", root, name);
	return path;
}

static void make_dirs(const char *name)
{
	char path[4096], *slash;

	strcpy(path, at(name));
	for (slash = path + strlen(root) + 1; (slash = strchr(slash, '/'));
	     slash++) {
		*slash = '\0';
		mkdir(path, 0755);
		*slash = '/';
	}
}

static void put(const char *name, const char *text)
{
	FILE *f;

	make_dirs(name);
	f = fopen(at(name), "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void put_link(const char *name, const char *target)
{
	make_dirs(name);
	assert_int_equal(symlink(target, at(name)), 0);
}

/* ---- what comes of them ---- */

static void tell(void *arg, const char *file, unsigned int line,
		 const char *text)
{
	assert_ptr_equal(arg, &told);
	uz_strbuf_add(&told, "%s:%u: %s\n",
		      strncmp(file, root, strlen(root)) ? file
							: file + strlen(root),
		      line, text);
}

static int load(const char *name)
{
	int rc;

	uz_strbuf_free(&told);
	uz_strbuf_add(&told, "%s", "");
	err = (struct uz_err){ 0 };
	uz_daemon_config_init(&config);
	rc = uz_conf_load(&config, name, tell, &told, &err);
	assert_int_equal(err.code, rc);
	assert_int_equal(uz_conf_load(&config, name, NULL, NULL, NULL), rc);
	return rc;
}

static void gives(const char *name, uint64_t size)
{
	assert_int_equal(load(name), 0);
	assert_int_equal(config.size, size);
}

/* The device cannot be had, for a reason that begins and contains so. */
static void refuses(const char *name, int rc, const char *place,
		    const char *words)
{
	assert_int_equal(load(name), rc);
	if (strncmp(err.text, root, strlen(root)) ||
	    strncmp(err.text + strlen(root), place, strlen(place)) ||
	    !strstr(err.text, words))
		fail_msg("'%s', wanted '%s' and '%s'", err.text, place, words);
}

static int check(const char *file, struct uz_conf_count *count)
{
	uz_strbuf_free(&told);
	uz_strbuf_add(&told, "%s", "");
	return uz_conf_check(file, tell, &told, count);
}

/* ---- which files ---- */

static void test_none(void **state)
{
	struct uz_conf_count count;

	(void)state;
	gives("disk", 0);
	assert_int_equal(check(NULL, &count), 0);
	assert_int_equal(count.files, 0);
	put("/etc/uzram.conf", "[other]\nsize=1M\n");
	gives("disk", 0);
}

static void test_settings(void **state)
{
	(void)state;
	put("/etc/uzram.conf", "[disk]\n"
			       "size = 64M\n"
			       "algorithm = store\n"
			       "mem_limit = 8M\n"
			       "threads = 3\n"
			       "backing = /var/tmp/x\n"
			       "[b]\n"
			       "writeback-device = /var/tmp/y\n");
	gives("disk", 64 * MIB);
	assert_string_equal(config.codecs[0].text, "store");
	assert_int_equal(config.mem_limit, 8 * MIB);
	assert_int_equal(config.threads, 3);
	assert_string_equal(config.backing, "/var/tmp/x");
	gives("b", 0);
	assert_string_equal(config.backing, "/var/tmp/y");
}

static void test_main_order(void **state)
{
	(void)state;
	put("/usr/lib/uzram.conf", "[disk]\nsize=4M\nthreads=9\n");
	gives("disk", 4 * MIB);
	put("/usr/local/lib/uzram.conf", "[disk]\nsize=3M\n");
	gives("disk", 3 * MIB);
	put("/run/uzram.conf", "[disk]\nsize=2M\n");
	gives("disk", 2 * MIB);
	put("/etc/uzram.conf", "[disk]\nsize=1M\n");
	gives("disk", MIB);
	/* One of them, not all. */
	assert_int_equal(config.threads, 0);
	unlink(at("/etc/uzram.conf"));
	put_link("/etc/uzram.conf", "/dev/null");
	gives("disk", 0);
}

static void test_pieces(void **state)
{
	struct uz_conf_count count;

	(void)state;
	put("/etc/uzram.conf", "[disk]\nsize=1M\nthreads=1\nworkers=1\n");
	put("/usr/lib/uzram.conf.d/50-x.conf", "[disk]\nsize=2M\nthreads=2\n");
	gives("disk", 2 * MIB);
	/* By name, whatever directory; and what it does not set stays. */
	put("/etc/uzram.conf.d/10-y.conf", "[disk]\nthreads=3\n");
	put("/run/uzram.conf.d/60-z.conf", "[disk]\nsize=6M\n");
	gives("disk", 6 * MIB);
	assert_int_equal(config.threads, 2);
	assert_int_equal(config.workers, 1);
	/* The same name: the first directory's. */
	put("/etc/uzram.conf.d/60-z.conf", "[disk]\nsize=7M\n");
	gives("disk", 7 * MIB);
	put_link("/etc/uzram.conf.d/50-x.conf", "/dev/null");
	gives("disk", 7 * MIB);
	assert_int_equal(config.threads, 3);
	/* A piece that is called like the main file hides nothing. */
	put("/run/uzram.conf.d/uzram.conf", "[disk]\nworkers=5\n");
	gives("disk", 7 * MIB);
	assert_int_equal(config.workers, 5);
	/* Not pieces. */
	put("/etc/uzram.conf.d/99.conf~", "nonsense\n");
	put("/etc/uzram.conf.d/.hidden.conf", "nonsense\n");
	put("/etc/uzram.conf.d/.conf", "nonsense\n");
	put("/etc/uzram.conf.d/README", "nonsense\n");
	assert_int_equal(check(NULL, &count), 0);
	assert_string_equal(told.data, "");
	assert_int_equal(count.files, 5);
	assert_int_equal(count.devices, 4);
	assert_int_equal(count.mistakes, 0);
}

/* Others than root have files of their own. */
static void test_user(void **state)
{
	(void)state;
	put("/xdg/uzram.conf", "[disk]\nsize=1M\n");
	put("/house/.config/uzram.conf", "[disk]\nsize=2M\n");
	unsetenv("UZRAM_CONFIG_ROOT");
	setenv("XDG_CONFIG_HOME", at("/xdg"), 1);
	setenv("HOME", at("/house"), 1);
	if (geteuid()) {
		gives("disk", MIB);
		unsetenv("XDG_CONFIG_HOME");
		gives("disk", 2 * MIB);
		unsetenv("HOME");
		gives("disk", 0);
	}
}

/* ---- mistakes ---- */

static void test_ours(void **state)
{
	(void)state;
	put("/etc/uzram.conf", "[disk]\nsize=64M\nsize=32M\n");
	refuses("disk", -EINVAL, "/etc/uzram.conf:3: ", "already");
	put("/etc/uzram.conf", "[disk]\nsize=many\nthreads=0\n");
	refuses("disk", -EINVAL, "/etc/uzram.conf:2: ", "not a size");
	put("/etc/uzram.conf", "[disk]\nsize=1K\n");
	refuses("disk", -EINVAL, "/etc/uzram.conf:2: ", "out of range");
	put("/etc/uzram.conf", "[disk]\ncolour=red\n");
	refuses("disk", -EINVAL, "/etc/uzram.conf:2: ", "unknown key 'colour'");
	put("/etc/uzram.conf", "[disk]\nmount-point=/mnt\n");
	refuses("disk", -EINVAL, "/etc/uzram.conf:2: ", "uzramctl(8)");
	put("/etc/uzram.conf", "[disk]\nsize\n");
	refuses("disk", -EINVAL, "/etc/uzram.conf:2: ", "KEY = VALUE");
	put("/etc/uzram.conf", "[disk]\n[disk]\n");
	refuses("disk", -EINVAL, "/etc/uzram.conf:2: ", "already");
}

/* Nobody knows whose these are. */
static void test_anybodys(void **state)
{
	(void)state;
	put("/etc/uzram.conf", "size=64M\n");
	refuses("disk", -EINVAL, "/etc/uzram.conf:1: ", "before any section");
	put("/etc/uzram.conf", "[other]\n[disk\nsize=1M\n");
	refuses("disk", -EINVAL, "/etc/uzram.conf:2: ", "[NAME]");
	refuses("other", -EINVAL, "/etc/uzram.conf:2: ", "[NAME]");
	put("/etc/uzram.conf", "[disk]\nsize=1M\n");
	assert_int_equal(mkdir(at("/etc/uzram.conf.d"), 0755), 0);
	assert_int_equal(mkdir(at("/etc/uzram.conf.d/a.conf"), 0755), 0);
	refuses("disk", -EINVAL, "/etc/uzram.conf.d/a.conf: ", "regular");
	rmdir(at("/etc/uzram.conf.d/a.conf"));
	put_link("/etc/uzram.conf.d/a.conf", "nowhere");
	refuses("disk", -ENOENT, "/etc/uzram.conf.d/a.conf: ", "No such");
	if (geteuid()) {
		chmod(at("/etc/uzram.conf"), 0);
		refuses("disk", -EACCES, "/etc/uzram.conf: ", "denied");
	}
}

/* A directory that cannot be looked into. */
static void test_unreadable(void **state)
{
	struct uz_conf_count count;

	(void)state;
	put_link("/etc/uzram.conf.d", "uzram.conf.d");
	refuses("disk", -ELOOP, "/etc/uzram.conf.d: ", "symbolic links");
	assert_int_equal(check(NULL, &count), -ELOOP);
	assert_int_equal(count.mistakes, 1);
	assert_non_null(strstr(told.data, "/etc/uzram.conf.d:0: "));
}

/* They are told, and end nothing. */
static void test_others(void **state)
{
	(void)state;
	put("/etc/uzram.conf", "[other]\nsize=many\nnonsense\n[disk]\nsize=1M\n"
			       "[a/b]\n");
	gives("disk", MIB);
	assert_non_null(strstr(told.data, "/etc/uzram.conf:2: size 'many'"));
	assert_non_null(strstr(told.data, "/etc/uzram.conf:3: 'nonsense'"));
	assert_non_null(strstr(told.data, "/etc/uzram.conf:6: name 'a/b'"));
}

static void test_check(void **state)
{
	struct uz_conf_count count;
	char file[128];

	(void)state;
	put("/etc/uzram.conf", "x=1\n"
			       "[a]\n"
			       "size = much\n"
			       "threads\n"
			       "[b c]\n"
			       "[]\n");
	put("/etc/uzram.conf.d/1.conf", "[a]\nzpool=none\n");
	put("/etc/uzram.conf.d/2.conf", "[a]\nsize=1M\n");
	assert_int_equal(check(NULL, &count), -EINVAL);
	assert_int_equal(count.mistakes, 6);
	assert_int_equal(count.files, 3);
	assert_non_null(strstr(told.data, "/etc/uzram.conf:1: 'x' stands"));
	assert_non_null(strstr(told.data, "/etc/uzram.conf:3: size 'much'"));
	assert_non_null(strstr(told.data, "/etc/uzram.conf:4: 'threads'"));
	assert_non_null(strstr(told.data, "/etc/uzram.conf:5: name 'b c'"));
	assert_non_null(strstr(told.data, "/etc/uzram.conf:6: name ''"));
	assert_non_null(strstr(told.data, "/etc/uzram.conf.d/1.conf:2: zpool"));
	/* One file, and no other. */
	strcpy(file, at("/etc/uzram.conf.d/2.conf"));
	assert_int_equal(check(file, &count), 0);
	assert_int_equal(count.files, 1);
	strcpy(file, at("/none"));
	assert_int_equal(check(file, &count), -ENOENT);
	assert_string_equal(told.data, "/none:0: No such file or directory\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_none, setup, teardown),
		cmocka_unit_test_setup_teardown(test_settings, setup, teardown),
		cmocka_unit_test_setup_teardown(test_main_order, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_user, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ours, setup, teardown),
		cmocka_unit_test_setup_teardown(test_anybodys, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unreadable, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_others, setup, teardown),
		cmocka_unit_test_setup_teardown(test_check, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
