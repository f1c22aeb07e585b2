// SPDX-License-Identifier: MIT
/*
 * To be preloaded (LD_PRELOAD) into uzramd: once UZ_ROGUE, a file of one byte,
 * names a system call that no worker makes, the next thread that serves
 * requests and allocates memory makes it, as if somebody had taken it over:
 *
 *	s  opens a socket     x  runs a program
 *	f  makes a process    u  unmounts
 *
 * It is made once: the byte is cleared before.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static _Atomic char *order;

static void __attribute__((constructor)) rogue_begin(void)
{
	const char *path = getenv("UZ_ROGUE");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *at;

	if (fd < 0)
		return;
	at = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (at != MAP_FAILED)
		order = at;
}

static int serves(void)
{
	char name[16] = "";

	prctl(PR_GET_NAME, name);
	return !strncmp(name, "uz-fuse-", 8) || !strncmp(name, "uz-ring-", 8) ||
	       !strncmp(name, "uz-ublk-", 8);
}

static void obey(void)
{
	/* Of which each gives up what can be given up, if it is let. */
	switch (atomic_exchange(order, '-')) {
	case 's':
		close(socket(AF_INET, SOCK_STREAM, 0));
		break;
	case 'x':
		execl("/bin/true", "true", (char *)NULL);
		break;
	case 'f':
		if (!fork())
			_exit(0);
		break;
	case 'u':
		umount2("/nowhere", MNT_DETACH);
		break;
	}
}

/* glibc's own. */
extern void *__libc_malloc(size_t size);
extern void *__libc_realloc(void *mem, size_t size);

static void maybe(void)
{
	if (order && atomic_load(order) != '-' && serves())
		obey();
}

void *malloc(size_t size)
{
	maybe();
	return __libc_malloc(size);
}

void *realloc(void *mem, size_t size)
{
	maybe();
	return __libc_realloc(mem, size);
}
