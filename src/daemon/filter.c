// SPDX-License-Identifier: MIT
/*
 * The system calls that a worker may make: a filter that the kernel asks before
 * each of them (seccomp). It cannot be taken off again, and whatever the worker
 * starts inherits it. A call that is not in the lists ends the process.
 *
 * It is one list for all threads. They share their memory, so whoever has taken
 * over one can have any other do what he wants; a stricter list for some would
 * look better than it is.
 *
 * What is missing is what would lead out of the process: no program is run and
 * no process made, nothing is mounted, no socket is opened, nobody else is
 * traced, read or sent a signal, and no memory becomes code. Files can be
 * opened, since attributes name some, with the rights that are left
 * (confine.c).
 *
 * A call that is forgotten here costs users their device if every successor
 * makes it too. So the lists are generous about what harms nobody, and about
 * what other C libraries, or later versions of this one, do in place of what
 * was seen. What io_uring carries out the filter does not see.
 */
#include <asm/ioctls.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon_priv.h"

#define NR(array) (sizeof(array) / sizeof((array)[0]))

/* Requests, and what waits for them. */
static const int calls_io[] = {
	SCMP_SYS(read),
	SCMP_SYS(readv),
	SCMP_SYS(pread64),
	SCMP_SYS(preadv),
	SCMP_SYS(preadv2),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(pwrite64),
	SCMP_SYS(pwritev),
	SCMP_SYS(pwritev2),
	SCMP_SYS(splice),
	SCMP_SYS(vmsplice),
	SCMP_SYS(tee),
	SCMP_SYS(sendfile),
	SCMP_SYS(copy_file_range),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(select),
	SCMP_SYS(pselect6),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(eventfd2),
	SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime),
	SCMP_SYS(timerfd_gettime),
	SCMP_SYS(signalfd4),
	SCMP_SYS(pipe2),
	SCMP_SYS(io_uring_setup),
	SCMP_SYS(io_uring_enter),
	SCMP_SYS(io_uring_register),
};

/* backing_dev, save, restore; /proc and /sys. */
static const int calls_files[] = {
	SCMP_SYS(open),	       SCMP_SYS(openat),
	SCMP_SYS(openat2),     SCMP_SYS(close),
	SCMP_SYS(close_range), SCMP_SYS(dup),
	SCMP_SYS(dup2),	       SCMP_SYS(dup3),
	SCMP_SYS(fcntl),       SCMP_SYS(flock),
	SCMP_SYS(lseek),       SCMP_SYS(stat),
	SCMP_SYS(lstat),       SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),  SCMP_SYS(statx),
	SCMP_SYS(statfs),      SCMP_SYS(fstatfs),
	SCMP_SYS(access),      SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),  SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),  SCMP_SYS(getdents64),
	SCMP_SYS(getcwd),      SCMP_SYS(umask),
	SCMP_SYS(link),	       SCMP_SYS(linkat),
	SCMP_SYS(rename),      SCMP_SYS(renameat),
	SCMP_SYS(renameat2),   SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),    SCMP_SYS(fallocate),
	SCMP_SYS(ftruncate),   SCMP_SYS(fsync),
	SCMP_SYS(fdatasync),   SCMP_SYS(sync_file_range),
	SCMP_SYS(syncfs),      SCMP_SYS(fadvise64),
	SCMP_SYS(readahead),
};

static const int calls_memory[] = {
	SCMP_SYS(brk),	    SCMP_SYS(munmap),	     SCMP_SYS(mremap),
	SCMP_SYS(madvise),  SCMP_SYS(msync),	     SCMP_SYS(mincore),
	SCMP_SYS(mlock),    SCMP_SYS(mlock2),	     SCMP_SYS(munlock),
	SCMP_SYS(mlockall), SCMP_SYS(munlockall),    SCMP_SYS(memfd_create),
	SCMP_SYS(mbind),    SCMP_SYS(get_mempolicy), SCMP_SYS(set_mempolicy),
};

static const int calls_threads[] = {
	SCMP_SYS(futex),
	SCMP_SYS(futex_waitv),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(get_robust_list),
	SCMP_SYS(set_tid_address),
	SCMP_SYS(rseq),
	SCMP_SYS(arch_prctl),
	SCMP_SYS(prctl),
	SCMP_SYS(membarrier),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_setaffinity),
	SCMP_SYS(sched_getscheduler),
	SCMP_SYS(sched_setscheduler),
	SCMP_SYS(sched_getparam),
	SCMP_SYS(sched_setparam),
	SCMP_SYS(sched_getattr),
	SCMP_SYS(sched_setattr),
	SCMP_SYS(sched_get_priority_min),
	SCMP_SYS(sched_get_priority_max),
	SCMP_SYS(getpriority),
	SCMP_SYS(setpriority),
	SCMP_SYS(ioprio_get),
	SCMP_SYS(ioprio_set),
	SCMP_SYS(getcpu),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(pause),
	SCMP_SYS(alarm),
	SCMP_SYS(getitimer),
	SCMP_SYS(setitimer),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigpending),
	SCMP_SYS(rt_sigsuspend),
	SCMP_SYS(rt_sigtimedwait),
	SCMP_SYS(sigaltstack),
};

static const int calls_questions[] = {
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(getppid),
	SCMP_SYS(getpgid),
	SCMP_SYS(getpgrp),
	SCMP_SYS(getsid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(getresuid),
	SCMP_SYS(getresgid),
	SCMP_SYS(getgroups),
	SCMP_SYS(capget),
	SCMP_SYS(getrlimit),
	SCMP_SYS(prlimit64),
	SCMP_SYS(getrusage),
	SCMP_SYS(times),
	SCMP_SYS(sysinfo),
	SCMP_SYS(uname),
	SCMP_SYS(time),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_getres),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep),
	SCMP_SYS(getrandom),
	SCMP_SYS(wait4),
	SCMP_SYS(waitid),
};

static const struct {
	const int *calls;
	size_t nr;
} lists[] = {
	{ calls_io, NR(calls_io) },
	{ calls_files, NR(calls_files) },
	{ calls_memory, NR(calls_memory) },
	{ calls_threads, NR(calls_threads) },
	{ calls_questions, NR(calls_questions) },
};

static int add_lists(scmp_filter_ctx ctx)
{
	size_t i, j;
	int ret;

	for (i = 0; i < NR(lists); i++) {
		for (j = 0; j < lists[i].nr; j++) {
			ret = seccomp_rule_add(ctx, SCMP_ACT_ALLOW,
					       lists[i].calls[j], 0);
			if (ret)
				return ret;
		}
	}
	return 0;
}

/* Calls that are allowed with some arguments only. */
static int add_careful(scmp_filter_ctx ctx)
{
	const scmp_datum_t self = (scmp_datum_t)getpid();
	/* What needs code asks for it by mmap() (dlopen), and takes a no. */
	const struct {
		uint32_t action;
		int call;
		struct scmp_arg_cmp arg;
	} rules[] = {
		{ SCMP_ACT_ALLOW, SCMP_SYS(mmap),
		  SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0) },
		{ SCMP_ACT_ERRNO(EPERM), SCMP_SYS(mmap),
		  SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC) },
		{ SCMP_ACT_ALLOW, SCMP_SYS(mprotect),
		  SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0) },
		{ SCMP_ACT_ERRNO(EPERM), SCMP_SYS(mprotect),
		  SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC) },
		/* A thread, no process. */
		{ SCMP_ACT_ALLOW, SCMP_SYS(clone),
		  SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD) },
		/* abort() and pthread_kill(); is a process still there? */
		{ SCMP_ACT_ALLOW, SCMP_SYS(tgkill),
		  SCMP_A0(SCMP_CMP_EQ, self, 0) },
		{ SCMP_ACT_ALLOW, SCMP_SYS(kill),
		  SCMP_A0(SCMP_CMP_EQ, self, 0) },
		{ SCMP_ACT_ALLOW, SCMP_SYS(kill), SCMP_A1(SCMP_CMP_EQ, 0, 0) },
		/* Sizes of block devices; is it a terminal? */
		{ SCMP_ACT_ALLOW, SCMP_SYS(ioctl),
		  SCMP_A1(SCMP_CMP_MASKED_EQ, 0xff00, BLKGETSIZE & 0xff00) },
		{ SCMP_ACT_ALLOW, SCMP_SYS(ioctl),
		  SCMP_A1(SCMP_CMP_EQ, TCGETS, 0) },
	};
	size_t i;
	int ret;

	for (i = 0; i < NR(rules); i++) {
		ret = seccomp_rule_add_array(ctx, rules[i].action,
					     rules[i].call, 1, &rules[i].arg);
		if (ret)
			return ret;
	}
	/* Its flags cannot be seen from here; libc then takes clone(). */
	return seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3),
				0);
}

static int set_up(scmp_filter_ctx ctx)
{
	int ret = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH,
				   SCMP_ACT_KILL_PROCESS);

	/* A tree rather than a row; what it does not know it does without. */
	if (!ret)
		seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!ret)
		ret = add_lists(ctx);
	if (!ret)
		ret = add_careful(ctx);
	return ret ? ret : seccomp_load(ctx);
}

bool uz_daemon_can_filter(void)
{
	return true;
}

int uz__filter(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int ret;

	if (!ctx)
		return -ENOMEM;
	ret = set_up(ctx);
	seccomp_release(ctx);
	return ret;
}

/* ---- the heir ---- */

#define LOAD(what) \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, what))
#define SKIP_IF(value, yes, no) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
#define END(action) BPF_STMT(BPF_RET | BPF_K, action)

/* By hand: the library allocates, and an heir must not. */
int uz__filter_heir(void)
{
	struct sock_filter filter[] = {
		LOAD(arch),
		SKIP_IF(seccomp_arch_native(), 0, 4),
		LOAD(nr),
		SKIP_IF(SYS_read, 3, 0),
		SKIP_IF(SYS_write, 2, 0),
		SKIP_IF(SYS_exit_group, 1, 0),
		END(SECCOMP_RET_KILL_PROCESS),
		END(SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { NR(filter), filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		return -errno;
	return 0;
}
