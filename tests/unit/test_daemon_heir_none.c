// SPDX-License-Identifier: MIT
/*
 * A worker that gets no heir, for whatever reason, is as any other: it works,
 * ends, and leaves nobody behind.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "heir_fixture.h"

/* Has the kernel refuse a call from now on; as an old one would. */
static void refuse(long call, int error)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { 4, filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		_exit(100);
}

static void no_process(void)
{
	refuse(SYS_clone, EAGAIN);
}

static void no_close_range(void)
{
	refuse(SYS_close_range, ENOSYS);
}

static void no_capset(void)
{
	refuse(SYS_capset, EPERM);
}

static void no_socket(void)
{
	refuse(SYS_socketpair, EMFILE);
}

static void no_group(void)
{
	setpgid(0, getppid());
}

static void not_wanted(void)
{
	board.heirs = 0;
}

static void test_none(void **state)
{
	static void (*const why[])(void) = {
		no_process, no_close_range, no_capset,
		no_socket,  no_group,	    not_wanted,
	};
	struct uz__heirs heirs = { 0 };
	pid_t worker;
	int status;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(why) / sizeof(*why); i++) {
		worker = start_worker(why[i]);
		status = told_to_go(worker);
		if (status != W_EXITCODE(7, 0) || !nobody_stays(worker))
			fail_msg("case %zu: status %#x", i, status);
	}
	/* Without any there is nobody to wait for. */
	uz__heirs_reap(&heirs);
	uz__heirs_end(&heirs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_none, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
