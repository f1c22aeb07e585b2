// SPDX-License-Identifier: MIT
/*
 * Whether a set-user-ID program would work: each reason against it that can be
 * had without mounting anything. Root makes the programs; without root the
 * system's own have to do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <uzram/util/suid.h>

static char dir[] = "/tmp/uzram-test.XXXXXX";
static char file[64];

static enum uz_suid check(mode_t mode, uid_t owner)
{
	assert_int_equal(chown(file, owner, 0), 0);
	assert_int_equal(chmod(file, mode), 0);
	return uz_suid_check("program");
}

static void test_reasons(void **state)
{
	enum uz_suid good;
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(uz_suid_check("uzram-no-such"), UZ_SUID_MISSING);
	if (geteuid())
		return; /* nobody else can make such programs */
	assert_int_equal(check(0755, 0), UZ_SUID_PLAIN);
	assert_int_equal(check(0644, 0), UZ_SUID_MISSING);
	assert_int_equal(check(04755, 65534), UZ_SUID_STRANGER);
	good = check(04755, 0);
	if (good != UZ_SUID_NOSUID)
		assert_int_equal(good, UZ_SUID_WORKS);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		_exit(uz_suid_check("program"));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (good == UZ_SUID_WORKS)
		assert_int_equal(WEXITSTATUS(status), UZ_SUID_NO_NEW);
}

static void test_advice(void **state)
{
	int suid;

	(void)state;
	for (suid = UZ_SUID_WORKS; suid <= UZ_SUID_NO_NEW; suid++)
		assert_true(strlen(uz_suid_advice((enum uz_suid)suid)) > 4);
	assert_non_null(strstr(uz_suid_advice(UZ_SUID_MISSING), "fuse3"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_advice),
	};
	int failed;
	FILE *f;

	if (!mkdtemp(dir))
		return 1;
	snprintf(file, sizeof(file), "%s/program", dir);
	f = fopen(file, "w");
	if (!f || fclose(f))
		return 1;
	setenv("PATH", dir, 1);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(file);
	rmdir(dir);
	return failed;
}
