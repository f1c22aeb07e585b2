// SPDX-License-Identifier: MIT
/*
 * Mounting and unmounting. libfuse3 mounts, because it knows when and how to
 * go through fusermount3 for an ordinary user; of it we keep nothing but the
 * descriptor. What it and fusermount3 say on stderr is caught, since
 * the reason is nowhere else, and becomes part of our one line.
 *
 * Unmounting is ours, since libfuse closes the descriptor first and then
 * detaches: here the mount is asked to go while it is still being served, and
 * only when it is in use it is detached. That it was is in the session's
 * memory: a worker that takes over must not unmount what is mounted there next.
 *
 * No locks: the caller sees to it that one thread at a time is here.
 */
#define FUSE_USE_VERSION 31

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uzram/util/cleanup.h>
#include <uzram/util/log.h>
#include <uzram/util/mountpoint.h>
#include <uzram/util/shm.h>
#include <uzram/util/suid.h>

#include "session_priv.h"

static int check_device(struct uz_err *err)
{
	uz_autoclose int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return 0;
	if (errno == EACCES || errno == EPERM)
		return uz_err_set(err, -EPERM,
				  "/dev/fuse: %s; be root, or let root make it "
				  "mode 0666",
				  strerror(errno));
	return uz_err_set(err, -ENODEV,
			  "/dev/fuse: %s; load the module (modprobe fuse), or "
			  "give the container the device",
			  strerror(errno));
}

static int check_dir(const char *dir, struct uz_err *err)
{
	DIR *d = opendir(dir);
	const struct dirent *ent;
	int entries = 0;

	if (!d && errno == ENOTCONN)
		return uz_err_set(err, -EBUSY,
				  "%s: a dead mount is in the way; remove it "
				  "(fusermount3 -u, or umount)",
				  dir);
	if (!d)
		return uz_err_set(err, -errno, "%s: %s; name a directory", dir,
				  strerror(errno));
	while ((ent = readdir(d)))
		if (strcmp(ent->d_name, ".") && strcmp(ent->d_name, ".."))
			entries++;
	closedir(d);
	if (entries)
		return uz_err_set(err, -ENOTEMPTY,
				  "%s: not empty; name an empty directory",
				  dir);
	if (geteuid() && access(dir, W_OK))
		return uz_err_set(err, -EPERM,
				  "%s: not writable; name a directory of yours",
				  dir);
	return 0;
}

/*
 * libfuse says that it failed, but not with which error. Root mounts without
 * help, for which it needs rights over the place as well as the right as such.
 */
static int why_not(const char *dir, const char *said, struct uz_err *err)
{
	enum uz_suid suid = uz_suid_check("fusermount3");

	if (geteuid() && suid != UZ_SUID_WORKS)
		return uz_err_set(err, -EPERM,
				  "%s: cannot mount: fusermount3 %s", dir,
				  uz_suid_advice(suid));
	if (!geteuid() && strstr(said, strerror(EPERM)))
		return uz_err_set(
			err, -EPERM,
			"%s: cannot mount: this root may not; a container "
			"needs CAP_SYS_ADMIN ('--cap-add SYS_ADMIN'), a user "
			"namespace its own mounts ('unshare -Urm')",
			dir);
	return uz_err_set(err, -EPERM, "%s: cannot mount: %s", dir,
			  said[0] ? said : "the system refused");
}

/* Its descriptor, or -1. */
static int session_mount(const struct uz_mount_config *config, const char *dir)
{
	static const struct fuse_lowlevel_ops ops;
	char program[] = "uzramd", dash_o[] = "-o", options[256];
	char *argv[] = { program, dash_o, options, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);
	struct fuse_session *session;
	int fd = -1;

	snprintf(options, sizeof(options),
		 "fsname=%s,subtype=uzram,default_permissions,max_read=%u,"
		 "nosuid,nodev,noexec%s",
		 config->name, UZ__FUSE_IO_MAX,
		 config->foreign ? ",allow_other" : "");
	session = fuse_session_new(&args, &ops, sizeof(ops), NULL);
	fuse_opt_free_args(&args);
	if (!session)
		return -1;
	/* It closes its descriptor, but does not unmount. */
	if (!fuse_session_mount(session, dir))
		fd = fcntl(fuse_session_fd(session), F_DUPFD_CLOEXEC, 0);
	fuse_session_destroy(session);
	return fd;
}

/*
 * session_mount() with stderr caught: the first line of it. Another thread's
 * stderr is lost meanwhile, but nobody serves yet.
 */
static int quiet_mount(const struct uz_mount_config *config, const char *dir,
		       char *said, size_t size)
{
	uz_autoclose int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	uz_autoclose int caught = uz_shm_memfd("uz-mount-stderr");
	ssize_t n = 0;
	int fd;

	if (saved >= 0 && caught >= 0)
		dup2(caught, STDERR_FILENO);
	fd = session_mount(config, dir);
	if (saved >= 0 && caught >= 0) {
		dup2(saved, STDERR_FILENO);
		n = pread(caught, said, size - 1, 0);
	}
	said[n > 0 ? n : 0] = 0;
	said[strcspn(said, "\n")] = 0;
	return fd;
}

int uz__fuse_mount(const struct uz_mount_config *config, const char *dir,
		   int *fd, struct uz_err *err)
{
	char said[128];
	int ret;

	ret = check_device(err);
	if (ret)
		return ret;
	ret = check_dir(dir, err);
	if (ret)
		return ret;
	*fd = quiet_mount(config, dir, said, sizeof(said));
	return *fd < 0 ? why_not(dir, said, err) : 0;
}

bool uz__fuse_mount_ended(int fd)
{
	struct pollfd p = { .fd = fd };

	return poll(&p, 1, 0) == 1 && (p.revents & POLLERR);
}

/* Asks no server. */
uint32_t uz__fuse_mount_minor(const char *dir)
{
	struct statx stx;

	if (statx(AT_FDCWD, dir, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, 0, &stx))
		return 0;
	return stx.stx_dev_major ? 0 : stx.stx_dev_minor;
}

/* Who detached ours, or mounted upon it, may have another one there. */
static bool is_another(const struct uz__fuse_session *session)
{
	return session->minor &&
	       uz__fuse_mount_minor(session->dir) != session->minor;
}

int uz__fuse_unmount(struct uz__fuse_session *session, int fd)
{
	int ret;

	if (uz__fuse_mount_ended(fd))
		return 0;
	if (atomic_load(&session->detached))
		return -EBUSY;
	if (is_another(session))
		return uz__fuse_mount_ended(fd) ? 0 : -EBUSY;
	ret = uz_mountpoint_unmount(session->dir, false);
	if (ret == -EBUSY) {
		ret = uz_mountpoint_unmount(session->dir, true);
		if (!ret) {
			atomic_store(&session->detached, 1);
			ret = uz__fuse_mount_ended(fd) ? 0 : -EBUSY;
		}
	}
	/* Somebody else was faster. */
	if (ret == -EINVAL || ret == -ENOENT)
		ret = 0;
	return ret;
}

void uz__fuse_mount_end(struct uz__fuse_session *session, int fd)
{
	enum uz_mountpoint state;

	/* The last copy: nobody has to wait for an answer any more. */
	close(fd);
	if (!atomic_load(&session->detached) &&
	    !uz_mountpoint_state(session->dir, &state) &&
	    state == UZ_MOUNTPOINT_STALE &&
	    uz_mountpoint_unmount(session->dir, true))
		uz_log(UZ_LOG_WARN, "%s: a dead mount is left there",
		       session->dir);
}
