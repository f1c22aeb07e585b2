// SPDX-License-Identifier: MIT
/*
 * The cgroups that this process is in.
 *
 * The path in /proc/self/cgroup is looked up below the usual mount point,
 * upwards to the mount point itself. In a container that path may be the
 * host's and lead nowhere here; the mount point then is the container's own
 * cgroup, and its limit is still found. So directories that are missing are
 * named all the same, and no failure is reported.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

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
