// SPDX-License-Identifier: MIT
/*
 * To be preloaded (LD_PRELOAD) into uzramd: once UZ_STRICT, a file of one byte,
 * says '1', a thread that serves requests dies, and its process with it, if it
 * allocates memory, maps any or opens a file. Page faults are not seen here;
 * the kernel counts them.
 *
 * What libc calls within itself is not seen either, but its own malloc() is
 * ours, and what maps or opens on its behalf begins there or at an open.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

static const volatile char *armed;

static void __attribute__((constructor)) strict_begin(void)
{
	const char *path = getenv("UZ_STRICT");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *at;

	if (fd < 0)
		return;
	at = mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (at != MAP_FAILED)
		armed = at;
}

/* The threads that a client waits for, by their names. */
static int serves(const char *name)
{
	return !strncmp(name, "uz-fuse-", 8) || !strncmp(name, "uz-ring-", 8) ||
	       !strncmp(name, "uz-page-", 8) || !strncmp(name, "uz-ublk-", 8);
}

static void check(const char *what)
{
	char name[16] = "";
	char line[64];
	int len;

	if (!armed || *armed != '1')
		return;
	prctl(PR_GET_NAME, name);
	if (!serves(name))
		return;
	len = snprintf(line, sizeof(line), "strict: %s calls %s\n", name, what);
	(void)!write(STDERR_FILENO, line, (size_t)len);
	abort();
}

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

/* glibc's own, which need no search: dlsym() may allocate. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *mem, size_t size);
extern void *__libc_memalign(size_t align, size_t size);

void *malloc(size_t size)
{
	check("malloc");
	return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	check("calloc");
	return __libc_calloc(n, size);
}

void *realloc(void *mem, size_t size)
{
	check("realloc");
	return __libc_realloc(mem, size);
}

void *aligned_alloc(size_t align, size_t size)
{
	check("aligned_alloc");
	return __libc_memalign(align, size);
}

void *mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
	check("mmap");
	return REAL(mmap)(at, size, prot, flags, fd, offset);
}

int open(const char *path, int flags, ...)
{
	check("open");
	/* A mode may be missing; what is read then is not used. */
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return openat(AT_FDCWD, path, flags, mode);
}

FILE *fopen(const char *path, const char *mode)
{
	check("fopen");
	return REAL(fopen)(path, mode);
}
