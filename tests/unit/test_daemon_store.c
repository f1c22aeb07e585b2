// SPDX-License-Identifier: MIT
/*
 * What a service manager is sent to be kept, and what becomes of what it hands
 * back: all of it, some of it, of another version, of a mount that is gone. The
 * manager is a socket that the test reads.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <daemon_priv.h>

#define KEPT 9

struct world {
	struct uz__daemon d;
	struct uz_frontend_ops ops;
	int manager;
	int peer; /* of the connection */
};

/* A manager with an abstract name that the system chooses. */
static int listen_at_random(char *name, size_t size)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(sa_family_t);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&at, len))
		return -1;
	len = sizeof(at);
	getsockname(fd, (struct sockaddr *)&at, &len);
	snprintf(name, size, "@%.*s",
		 (int)(len - offsetof(struct sockaddr_un, sun_path) - 1),
		 at.sun_path + 1);
	return fd;
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	char name[64];
	int fds[2];

	w->manager = listen_at_random(name, sizeof(name));
	setenv("NOTIFY_SOCKET", name, 1);
	unsetenv("FDSTORE");
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds);
	w->peer = fds[1];
	w->ops.name = "fuse";
	w->d = (struct uz__daemon){
		.ops = &w->ops,
		.fs = 77,
		.session = { .fd = fds[0], .mem = uz_shm_memfd("session") },
		.place = { .path = "/place",
			   .parent = -1,
			   .fd = open("/", O_RDONLY | O_CLOEXEC),
			   .made = true },
		.board_fd = uz_shm_memfd("board"),
		.program = -1,
		.restart = { .total = 5 },
		.serving = "1.2",
		.keep = { .program = -1, .self = -1, .handover = -1 },
	};
	*state = w;
	return w->manager < 0 || uz_device_mem_create(&w->d.mem);
}

static void close_all(struct world *w)
{
	const int fds[] = { w->d.session.fd, w->d.session.mem, w->d.place.fd,
			    w->d.board_fd };
	size_t i;

	uz_device_mem_close(&w->d.mem);
	for (i = 0; i < sizeof(fds) / sizeof(*fds); i++)
		close(fds[i]);
}

static int tear_down(void **state)
{
	struct world *w = *state;

	w->d.parked = true;
	uz__store_end(&w->d);
	close_all(w);
	close(w->manager);
	close(w->peer);
	free(w);
	return 0;
}

/* The next message and its descriptor, or -1; false: there is none. */
static bool hear(struct world *w, char *text, size_t size, int *fd)
{
	union {
		struct cmsghdr hdr;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec data = { .iov_base = text, .iov_len = size - 1 };
	struct msghdr msg = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(w->manager, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0)
		return false;
	text[n] = '\0';
	*fd = -1;
	if (CMSG_FIRSTHDR(&msg))
		memcpy(fd, CMSG_DATA(&control.hdr), sizeof(*fd));
	return true;
}

static void expect_text(struct world *w, const char *want, int *fd)
{
	char text[256];
	int got = -1;

	assert_true(hear(w, text, sizeof(text), &got));
	assert_string_equal(text, want);
	assert_int_equal(got >= 0, fd != NULL);
	if (fd)
		*fd = got;
}

static void expect_silence(struct world *w)
{
	char text[256];
	int fd;

	assert_false(hear(w, text, sizeof(text), &fd));
}

/* What is kept, and its names as they are handed back. */
static void expect_kept(struct world *w, int *fds, char *names, size_t size)
{
	static const char begin[] = "FDSTORE=1\nFDPOLL=0\nFDNAME=uzram-";
	char text[256];
	size_t i, len = 0;

	for (i = 0; i < KEPT; i++) {
		assert_true(hear(w, text, sizeof(text), &fds[i]));
		assert_true(fds[i] >= 0);
		assert_memory_equal(text, begin, sizeof(begin) - 1);
		len += (size_t)snprintf(names + len, size - len, "%suzram-%s",
					i ? ":" : "", text + sizeof(begin) - 1);
	}
	expect_silence(w);
}

static void close_fds(const int *fds)
{
	size_t i;

	for (i = 0; i < KEPT; i++)
		close(fds[i]);
}

static void test_keeps(void **state)
{
	struct world *w = *state;
	char names[512];
	int fds[KEPT], fd;

	uz__store_begin(&w->d);
	expect_silence(w);
	uz__store_keep(&w->d);
	assert_true(w->d.keep.all);
	expect_kept(w, fds, names, sizeof(names));
	assert_string_equal(names, "uzram-program:uzram-control:uzram-table:"
				   "uzram-arena:uzram-connection:uzram-session:"
				   "uzram-board:uzram-place:uzram-handover");
	close_fds(fds);
	/* Once is enough. */
	uz__store_keep(&w->d);
	expect_silence(w);
	/* But not of a program that is replaced. */
	w->d.program = open("/", O_RDONLY | O_CLOEXEC);
	uz__store_keep(&w->d);
	expect_text(w, "FDSTOREREMOVE=1\nFDNAME=uzram-program", NULL);
	expect_text(w, "FDSTORE=1\nFDPOLL=0\nFDNAME=uzram-program", &fd);
	expect_silence(w);
	close(fd);
	close(w->d.program);
	w->d.program = -1;
	/* Nobody listens any more: it goes on. */
	close(w->manager);
	uz__store_end(&w->d);
	assert_false(w->d.keep.all);
	w->manager = -1;
}

static void test_keeps_nothing(void **state)
{
	struct world *w = *state;

	setenv("FDSTORE", "8", 1);
	uz__store_begin(&w->d);
	uz__store_keep(&w->d);
	expect_silence(w);
	setenv("FDSTORE", "9", 1);
	w->ops.bound = true;
	uz__store_begin(&w->d);
	uz__store_keep(&w->d);
	expect_silence(w);
	w->ops.bound = false;
	unsetenv("NOTIFY_SOCKET");
	uz__store_begin(&w->d);
	uz__store_keep(&w->d);
	assert_false(w->d.keep.all);
	expect_silence(w);
	/* A manager that is not there. */
	setenv("NOTIFY_SOCKET", "/no/such/socket", 1);
	uz__store_begin(&w->d);
	uz__store_keep(&w->d);
	assert_false(w->d.keep.all);
}

/* One that was not made by uz__report(). */
static void relay(const char *text)
{
	struct uz__report report = { .kind = UZ__REPORT_MANAGER };
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	memset(report.text, 'x', sizeof(report.text));
	memcpy(report.text, text, strlen(text));
	assert_int_equal(write(fds[1], &report, sizeof(report)),
			 sizeof(report));
	memset(report.text, 0, sizeof(report.text));
	assert_true(uz__report_take(fds[0], &report));
	assert_int_equal(strlen(report.text), sizeof(report.text) - 1);
	assert_int_equal(report.text[sizeof(report.text) - 2], 'x');
	uz__report_relay(&report);
	assert_false(uz__report_take(fds[0], &report));
	close(fds[0]);
	close(fds[1]);
}

/* A worker may say what becomes of it, and nothing else. */
static void test_relays(void **state)
{
	struct world *w = *state;
	struct uz__report report = { .text = "STOPPING=1" };
	char text[600];
	int fd;

	uz__report_relay(&report);
	expect_text(w, "STOPPING=1", NULL);
	relay("STATUS=used by you\nMAINPID=1\n");
	expect_text(w, "STATUS=used by you", NULL);
	relay("STATUS=");
	assert_true(hear(w, text, sizeof(text), &fd));
	assert_memory_equal(text, "STATUS=xxx", 10);
	relay("STOPPING=1");
	relay("MAINPID=1\nSTATUS=hm");
	relay("FDSTOREREMOVE=1\nFDNAME=uzram-arena\n");
	relay("\nFDSTOREREMOVE=1\n");
	relay("READY=1\n");
	expect_silence(w);
}

/*
 * In a process of its own, which has nothing but what it is handed. What
 * uz__store_take() returns, plus 100; or 99 if what it returned is not right.
 */
static int take(const int *fds, unsigned int count, const char *names,
		pid_t pid)
{
	struct uz__daemon d = {
		.mem = { .ctl_fd = -1, .table_fd = -1, .arena_fd = -1 },
		.session = { .fd = -1, .mem = -1 },
		.place = { .parent = -1, .fd = -1 },
		.board_fd = -1,
		.program = -1,
		.keep = { .program = -1, .self = -1, .handover = -1 },
	};
	char text[32];
	unsigned int i;
	int ret;

	for (i = 0; i < count; i++)
		dup2(fds[i], 100 + (int)i);
	for (i = 0; i < count; i++)
		dup2(100 + (int)i, 3 + (int)i);
	snprintf(text, sizeof(text), "%d", (int)(pid ? pid : getpid()));
	setenv("LISTEN_PID", text, 1);
	snprintf(text, sizeof(text), "%u", count);
	setenv("LISTEN_FDS", text, 1);
	setenv("LISTEN_FDNAMES", names, 1);
	unsetenv("NOTIFY_SOCKET");
	ret = uz__store_take(&d, NULL);
	if (ret <= 0)
		return d.keep.all || d.session.fd >= 0 || d.place.fd >= 0
			       ? 99
			       : 100 + ret;
	return getenv("LISTEN_PID") || !d.served || d.fs != 77 ||
			       d.restart.total != 5 || !d.place.made ||
			       strcmp(d.place.path, "/place") != 0 ||
			       strcmp(d.serving, "1.2") != 0 ||
			       d.program != d.keep.program || d.program < 0 ||
			       fcntl(d.mem.arena_fd, F_GETFD) != FD_CLOEXEC
		       ? 99
		       : 100 + ret;
}

static void expect_taken(const int *fds, unsigned int count, const char *names,
			 pid_t owner, int want)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid)
		_exit(take(fds, count, names, owner));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 100 + want);
}

static void test_takes(void **state)
{
	static const unsigned char wrong[] = "uz4rkovr\7\0\0\0\20\0\0\0";
	struct world *w = *state;
	char names[512], other[512];
	int fds[KEPT];

	uz__store_begin(&w->d);
	uz__store_keep(&w->d);
	expect_kept(w, fds, names, sizeof(names));
	expect_taken(fds, KEPT, names, 0, 1);
	/* Somebody else's, and none. */
	expect_taken(fds, KEPT, names, getppid(), 0);
	expect_taken(fds, 0, "", 0, 0);
	/* Without a program it can go on, but not without anything else. */
	snprintf(other, sizeof(other), "%s", names);
	memcpy(strstr(other, "uzram-table"), "stored:::::", 11);
	expect_taken(fds, KEPT, other, 0, 0);
	expect_taken(fds, KEPT - 1, names, 0, 0);
	expect_taken(fds, KEPT, "", 0, 0);
	/* Of a version that is not known: it is left where it is. */
	assert_int_equal(pwrite(fds[KEPT - 1], wrong, 16, 0), 16);
	expect_taken(fds, KEPT, names, 0, -ENOTSUP);
	uz__store_keep(&w->d);
	expect_taken(fds, KEPT, names, 0, 1);
	/* The connection has ended. */
	close(w->peer);
	expect_taken(fds, KEPT, names, 0, 0);
	close_fds(fds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_keeps, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_keeps_nothing, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_relays, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_takes, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
