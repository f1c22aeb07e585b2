// SPDX-License-Identifier: MIT
/*
 * The cgroups that this process is in.
 *
 * The path in /proc/self/cgroup is looked up below the usual mount point,
 * upwards to the mount point itself. In a container that path may be the
 * host's and lead nowhere here; the mount point then is the container's own
 * cgroup, and its limit is still found. So directories that are missing are
 * named all the same, and no failure is reported.
 *
 * v2 and v1 may be mounted together; memory then belongs to either.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <uzram/util/cgroup.h>
#include <uzram/util/cleanup.h>

/* What is sought, and what to do with it. */
struct walk {
	const char *root;
	const char *controller;
	void (*each)(const char *dir, bool v2, void *arg);
	void *arg;
};

/* The cgroup @group below @mount, and all around it. */
static void walk_up(const struct walk *w, const char *mount, char *group,
		    bool v2)
{
	char *slash = group + strlen(group);
	char dir[PATH_MAX];

	do {
		*slash = '\0';
		snprintf(dir, sizeof(dir), "%s%s%s", w->root, mount, group);
		w->each(dir, v2, w->arg);
		slash = strrchr(group, '/');
	} while (slash);
}

/* Is @name one of the comma-separated controllers? */
static bool has_controller(char *controllers, const char *name)
{
	char *one;

	while ((one = strsep(&controllers, ",")))
		if (!strcmp(one, name))
			return true;
	return false;
}

/* @line is "0::/path" for v2, "N:controller,controller:/path" for v1. */
static void walk_line(const struct walk *w, char *line)
{
	char *controllers, *group;
	char mount[64];

	line[strcspn(line, "\n")] = '\0';
	strsep(&line, ":");
	controllers = strsep(&line, ":");
	group = line;
	if (!group)
		return;
	if (!*controllers) {
		walk_up(w, "/sys/fs/cgroup", group, true);
	} else if (has_controller(controllers, w->controller)) {
		snprintf(mount, sizeof(mount), "/sys/fs/cgroup/%s",
			 w->controller);
		walk_up(w, mount, group, false);
	}
}

void uz_cgroup_walk(const char *root, const char *controller,
		    void (*each)(const char *dir, bool v2, void *arg),
		    void *arg)
{
	const struct walk w = { root, controller, each, arg };
	uz_autofree char *line = NULL;
	char path[PATH_MAX];
	size_t cap = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
	f = fopen(path, "re");
	if (!f)
		return;
	while (getline(&line, &cap, f) > 0)
		walk_line(&w, line);
	fclose(f);
}

/* Of several hierarchies, v1's memory controller is the one where it is. */
struct own {
	char *path;
	size_t size;
	size_t prefix;
	bool v1;
	bool found;
};

static void note_own(const char *dir, bool v2, void *arg)
{
	struct own *own = arg;
	const char *mount = v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
	const char *group = dir + own->prefix + strlen(mount);

	/* The first of each hierarchy is its own, then come those around it. */
	if (own->found && (v2 || own->v1))
		return;
	own->found = true;
	own->v1 = !v2;
	snprintf(own->path, own->size, "%s", *group ? group : "/");
}

void uz_cgroup_own(const char *root, char *path, size_t size)
{
	struct own own = { path, size, strlen(root), false, false };

	path[0] = '\0';
	uz_cgroup_walk(root, "memory", note_own, &own);
}

/* Below where @path may be meant to lie; the first that has it. */
static const char *const hierarchies[] = {
	"",
	"/sys/fs/cgroup/memory",
	"/sys/fs/cgroup",
	"/sys/fs/cgroup/unified",
};

/* A descriptor, or -errno; -ENOENT: none has it. */
static int open_procs(const char *root, const char *path)
{
	char file[PATH_MAX];
	size_t i;
	int fd;

	for (i = 0; i < sizeof(hierarchies) / sizeof(*hierarchies); i++) {
		snprintf(file, sizeof(file), "%s%s%s%s/cgroup.procs", root,
			 hierarchies[i], *path == '/' ? "" : "/", path);
		fd = open(file, O_WRONLY | O_CLOEXEC);
		if (fd >= 0)
			return fd;
		if (errno != ENOENT && errno != ENOTDIR)
			return -errno;
	}
	return -ENOENT;
}

int uz_cgroup_join(const char *root, const char *path, struct uz_err *err)
{
	uz_autoclose int fd = open_procs(root, path);
	int rc = fd < 0 ? fd : 0;

	/* 0 is whoever writes it. */
	if (!rc && write(fd, "0", 1) < 0)
		rc = -errno;
	switch (-rc) {
	case 0:
		return 0;
	case ENOENT:
		return uz_err_set(err, rc,
				  "cgroup '%.120s': there is none; make it "
				  "first (mkdir below /sys/fs/cgroup)",
				  path);
	case EACCES:
	case EPERM:
		return uz_err_set(err, -EPERM,
				  "cgroup '%.120s': not permitted; be root, or "
				  "use 'systemd-run --user --scope'",
				  path);
	case EBUSY:
		return uz_err_set(err, rc,
				  "cgroup '%.120s': has groups within it that "
				  "are limited; name one of those",
				  path);
	default:
		return uz_err_set(err, rc, "cgroup '%.120s': cannot join: %s",
				  path, strerror(-rc));
	}
}
