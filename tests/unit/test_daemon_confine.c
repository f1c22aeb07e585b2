// SPDX-License-Identifier: MIT
/*
 * What a worker gives up: which capabilities each kind of device keeps, that
 * the process then has them and no others, and that system calls that no worker
 * makes end it. Each case is a process of its own, as nothing can be taken
 * back.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <daemon_priv.h>

#define BIT(cap) (UINT64_C(1) << (cap))

static struct uz_daemon_config config;
static char text[48];

static void test_needs(void **state)
{
	uint64_t plain, swap, disk;

	(void)state;
	uz_daemon_config_init(&config);
	plain = uz__confine_needs(&config, false);
	disk = uz__confine_needs(&config, true);
	config.swap = true;
	swap = uz__confine_needs(&config, false);
	assert_true(plain & BIT(CAP_SYS_NICE));
	assert_false(swap & BIT(CAP_SYS_NICE));
	assert_true(swap & BIT(CAP_SYS_RESOURCE));
	assert_true(disk & BIT(CAP_SYS_ADMIN));
	assert_false((plain | swap) & BIT(CAP_SYS_ADMIN));
	assert_true(plain & swap & disk & BIT(CAP_DAC_OVERRIDE));
	assert_false((plain | swap | disk) &
		     (BIT(CAP_SETUID) | BIT(CAP_KILL) | BIT(CAP_NET_ADMIN) |
		      BIT(CAP_SYS_MODULE) | BIT(CAP_CHOWN)));
}

/* The status of a process that is confined and then does @what. */
static int confined(enum uz_seccomp seccomp, int (*what)(void))
{
	const struct rlimit none = { 0 };
	struct uz_err err;
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		setrlimit(RLIMIT_CORE, &none);
		signal(SIGSYS, SIG_DFL);
		uz_daemon_config_init(&config);
		config.seccomp = seccomp;
		if (uz__confine(&config, false, true, text, sizeof(text), &err))
			_exit(100);
		_exit(what());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static unsigned long long status_field(const char *name)
{
	unsigned long long value = ~0ull;
	char line[256];
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			value = strtoull(line + strlen(name), NULL, 16);
	if (f)
		fclose(f);
	return value;
}

/* What is said is what the kernel says. */
static int claims(void)
{
	const uint64_t needs = uz__confine_needs(&config, false);

	if (!strstr(text, "no_new_privs,capabilities"))
		return 1;
	if (status_field("NoNewPrivs:") != 1)
		return 2;
	if (status_field("CapEff:") & ~needs ||
	    status_field("CapPrm:") & ~needs)
		return 3;
	if (!!strstr(text, "seccomp") != (status_field("Seccomp:") == 2))
		return 4;
	if (strstr(text, "seccomp") && config.seccomp == UZ_SECCOMP_OFF)
		return 5;
	if (!strstr(text, "seccomp") && config.seccomp == UZ_SECCOMP_ON)
		return 6;
	return 0;
}

static void test_claims(void **state)
{
	(void)state;
	assert_int_equal(confined(UZ_SECCOMP_OFF, claims), 0);
	assert_int_equal(confined(UZ_SECCOMP_AUTO, claims), 0);
	if (uz_daemon_can_filter())
		assert_int_equal(confined(UZ_SECCOMP_ON, claims), 0);
}

/* ---- what still can be done ---- */

static void *nothing(void *arg)
{
	pthread_setname_np(pthread_self(), "uz-test");
	return arg;
}

static int ordinary_things(void)
{
	char *mem = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open("/proc/self/stat", O_RDONLY);
	pthread_t thread;
	unsigned long size;

	if (fd < 0 || mem == MAP_FAILED || mprotect(mem, 4096, PROT_NONE))
		return 1;
	if (pthread_create(&thread, NULL, nothing, mem) ||
	    pthread_join(thread, NULL))
		return 2;
	if (kill(getpid(), 0) || kill(getppid(), 0))
		return 3;
	/* Refused in words that whoever asks understands. */
	if (ioctl(fd, _IO(0x12, 96), &size) != -1 || errno != ENOTTY)
		return 4;
	if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
		 -1, 0) != MAP_FAILED ||
	    errno != EPERM)
		return 5;
	if (mprotect(mem, 4096, PROT_EXEC) != -1 || errno != EPERM)
		return 6;
	free(malloc(64u << 20));
	return 0;
}

static void test_ordinary_things(void **state)
{
	(void)state;
	if (uz_daemon_can_filter())
		assert_int_equal(confined(UZ_SECCOMP_ON, ordinary_things), 0);
}

static int dies_of_abort(void)
{
	abort();
}

/* Its signal is its own, not the filter's. */
static void test_abort(void **state)
{
	int status;

	(void)state;
	if (!uz_daemon_can_filter())
		return;
	status = confined(UZ_SECCOMP_ON, dies_of_abort);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

/* ---- what ends the process ---- */

static int runs_a_program(void)
{
	execl("/bin/true", "true", (char *)NULL);
	return 0;
}

static int makes_a_process(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	return 0;
}

static int opens_a_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0) < 0;
}

static int sends_a_signal(void)
{
	return kill(getppid(), SIGCONT);
}

static int traces(void)
{
	return (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static int reads_another(void)
{
	return (int)syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0,
			    0);
}

static int unmounts(void)
{
	return (int)syscall(SYS_umount2, "/nowhere", 0);
}

static int changes_user(void)
{
	return (int)syscall(SYS_setuid, geteuid());
}

static int types_for_others(void)
{
	return ioctl(0, 0x5412 /* TIOCSTI */, "x");
}

static int makes_a_namespace(void)
{
	return (int)syscall(SYS_unshare, 0);
}

static void *socket_thread(void *arg)
{
	opens_a_socket();
	return arg;
}

static int has_a_thread_do_it(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, socket_thread, NULL))
		return 1;
	pthread_join(thread, NULL);
	return 0;
}

static void test_forbidden(void **state)
{
	static int (*const what[])(void) = {
		runs_a_program,
		makes_a_process,
		opens_a_socket,
		sends_a_signal,
		traces,
		reads_another,
		unmounts,
		changes_user,
		types_for_others,
		makes_a_namespace,
		has_a_thread_do_it,
	};
	int status;
	size_t i;

	(void)state;
	if (!uz_daemon_can_filter())
		return;
	for (i = 0; i < sizeof(what) / sizeof(*what); i++) {
		status = confined(UZ_SECCOMP_ON, what[i]);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
			fail_msg("case %zu: status %#x", i, status);
	}
	/* It is the filter that ends it. */
	assert_int_equal(confined(UZ_SECCOMP_OFF, opens_a_socket), 0);
}

/* ---- and all the others ---- */

/* That lead out of a process, or into others; harmless with these arguments. */
static const short leads_out[] = {
	SYS_accept,
	SYS_accept4,
	SYS_acct,
	SYS_add_key,
	SYS_adjtimex,
	SYS_bind,
	SYS_bpf,
	SYS_capset,
	SYS_chroot,
	SYS_clock_settime,
	SYS_connect,
	SYS_delete_module,
	SYS_execve,
	SYS_execveat,
	SYS_fanotify_init,
	SYS_finit_module,
	SYS_fsopen,
	SYS_init_module,
	SYS_kcmp,
	SYS_kexec_load,
	SYS_keyctl,
	SYS_listen,
	SYS_mknodat,
	SYS_mount,
	SYS_mount_setattr,
	SYS_move_mount,
	SYS_move_pages,
	SYS_name_to_handle_at,
	SYS_open_by_handle_at,
	SYS_open_tree,
	SYS_perf_event_open,
	SYS_personality,
	SYS_pidfd_getfd,
	SYS_pidfd_open,
	SYS_pidfd_send_signal,
	SYS_pivot_root,
	SYS_process_madvise,
	SYS_process_vm_readv,
	SYS_process_vm_writev,
	SYS_ptrace,
	SYS_quotactl,
	SYS_reboot,
	SYS_recvfrom,
	SYS_recvmsg,
	SYS_request_key,
	SYS_rt_sigqueueinfo,
	SYS_rt_tgsigqueueinfo,
	SYS_seccomp,
	SYS_sendmsg,
	SYS_sendto,
	SYS_setdomainname,
	SYS_setgid,
	SYS_setgroups,
	SYS_sethostname,
	SYS_setns,
	SYS_setpgid,
	SYS_setresgid,
	SYS_setresuid,
	SYS_setsid,
	SYS_settimeofday,
	SYS_setuid,
	SYS_socket,
	SYS_socketpair,
	SYS_swapoff,
	SYS_swapon,
	SYS_syslog,
	SYS_tkill,
	SYS_umount2,
	SYS_unshare,
	SYS_userfaultfd,
	SYS_vhangup,
};

static long number;

static int calls_number(void)
{
	syscall(number, -1L, -1L, -1L, -1L, -1L, -1L);
	return 0;
}

static void expect_killed(long call)
{
	int status;

	number = call;
	status = confined(UZ_SECCOMP_ON, calls_number);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
		fail_msg("system call %#lx: status %#x", call, status);
}

/* Numbers that no kernel has yet, and x86-64's second table, are in no list. */
static void test_all_others(void **state)
{
	size_t i;

	(void)state;
	if (!uz_daemon_can_filter())
		return;
	for (i = 0; i < sizeof(leads_out) / sizeof(*leads_out); i++)
		expect_killed(leads_out[i]);
	for (i = 1000; i < 1010; i++)
		expect_killed((long)i);
#ifdef __x86_64__
	expect_killed(SYS_getpid | 0x40000000);
	expect_killed(SYS_socket | 0x40000000);
#endif
}

#ifdef __x86_64__
static bool called;

/* getpid() of the 32-bit table, which may be called from 64-bit programs. */
static void *other_table_thread(void *arg)
{
	long ret = 20;

	__asm__ volatile("int $0x80"
			 : "+a"(ret)
			 :
			 : "memory", "r8", "r9", "r10", "r11");
	called = ret == getpid();
	return arg;
}

/* In a thread: it is not enough if the thread is all that ends. */
static int calls_the_other_table(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, other_table_thread, NULL))
		return 1;
	pthread_join(thread, NULL);
	return called ? 0 : 2;
}

static void test_other_table(void **state)
{
	int status;

	(void)state;
	/* Some kernels have no such table. */
	if (!uz_daemon_can_filter() ||
	    confined(UZ_SECCOMP_OFF, calls_the_other_table))
		return;
	status = confined(UZ_SECCOMP_ON, calls_the_other_table);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}
#endif

static void test_words(void **state)
{
	struct uz_err err;

	(void)state;
	uz_daemon_config_init(&config);
	assert_int_equal(config.seccomp, UZ_SECCOMP_AUTO);
	assert_int_equal(uz_daemon_config_set(&config, "seccomp", "off", &err),
			 0);
	assert_int_equal(config.seccomp, UZ_SECCOMP_OFF);
	assert_int_equal(uz_daemon_config_set(&config, "seccomp", "yes", &err),
			 -EINVAL);
	if (uz_daemon_can_filter()) {
		assert_int_equal(
			uz_daemon_config_set(&config, "seccomp", "on", &err),
			0);
		assert_int_equal(config.seccomp, UZ_SECCOMP_ON);
		return;
	}
	assert_int_equal(uz_daemon_config_set(&config, "seccomp", "on", &err),
			 -ENOTSUP);
	assert_non_null(strstr(err.text, "libseccomp"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_needs),
		cmocka_unit_test(test_claims),
		cmocka_unit_test(test_ordinary_things),
		cmocka_unit_test(test_abort),
		cmocka_unit_test(test_forbidden),
		cmocka_unit_test(test_all_others),
#ifdef __x86_64__
		cmocka_unit_test(test_other_table),
#endif
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
