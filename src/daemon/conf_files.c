// SPDX-License-Identifier: MIT
/*
 * Which configuration files there are, in the order in which they are read:
 * one uzram.conf and the pieces in uzram.conf.d. An earlier directory's file
 * hides a later one's of the same name, so that an administrator can replace
 * what a package brought.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon_priv.h"

#define CONF "uzram.conf"

/* The strongest first. */
static const char *const root_dirs[] = { "/etc", "/run", "/usr/local/lib",
					 "/usr/lib" };

#define DIRS_MAX (sizeof(root_dirs) / sizeof(*root_dirs))

/*
 * struct dirs - where to look
 * @path: of the directories
 * @nr:   of them
 */
struct dirs {
	char path[DIRS_MAX][1024];
	size_t nr;
};

static void dirs_add(struct dirs *dirs, const char *before, const char *dir)
{
	char *path = dirs->path[dirs->nr];
	int n = snprintf(path, sizeof(dirs->path[0]), "%s%s", before, dir);

	/* No file of such a name could be opened. */
	if (n > 0 && (size_t)n < sizeof(dirs->path[0]))
		dirs->nr++;
}

static void dirs_find(struct dirs *dirs)
{
	const char *root = getenv("UZRAM_CONFIG_ROOT");
	const char *xdg = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");
	size_t i;

	dirs->nr = 0;
	if ((root && *root) || geteuid() == 0)
		for (i = 0; i < DIRS_MAX; i++)
			dirs_add(dirs, root ? root : "", root_dirs[i]);
	else if (xdg && *xdg)
		dirs_add(dirs, xdg, "");
	else if (home && *home)
		dirs_add(dirs, home, "/.config");
}

static bool is_there(const struct uz__conf_files *files, const char *name)
{
	size_t i;

	for (i = 0; i < files->nr; i++)
		if (!strcmp(files->files[i].name, name))
			return true;
	return false;
}

/* @name: of a piece; "" is none's, and sorts before them. */
static int files_add(struct uz__conf_files *files, const char *path,
		     const char *name)
{
	struct uz__conf_file *list;

	list = realloc(files->files, (files->nr + 1) * sizeof(*list));
	if (!list)
		return -ENOMEM;
	files->files = list;
	list += files->nr;
	list->path = strdup(path);
	list->name = strdup(name);
	files->nr++;
	return list->path && list->name ? 0 : -ENOMEM;
}

/* uzram.conf of the first directory that has one. */
static int find_main(struct uz__conf_files *files, const struct dirs *dirs)
{
	struct stat st;
	size_t i;

	for (i = 0; i < dirs->nr; i++) {
		snprintf(files->failed, sizeof(files->failed), "%s/" CONF,
			 dirs->path[i]);
		if (!lstat(files->failed, &st))
			return files_add(files, files->failed, "");
		if (errno != ENOENT && errno != ENOTDIR)
			return -errno;
	}
	return 0;
}

static int is_piece(const struct dirent *entry)
{
	static const char tail[] = ".conf";
	size_t len = strlen(entry->d_name), more = sizeof(tail) - 1;

	return *entry->d_name != '.' && len > more &&
	       !strcmp(entry->d_name + len - more, tail);
}

static int find_pieces(struct uz__conf_files *files, const char *dir)
{
	char path[sizeof(files->failed) + NAME_MAX + 2];
	struct dirent **entries;
	int i, n, rc = 0;

	snprintf(files->failed, sizeof(files->failed), "%s/" CONF ".d", dir);
	n = scandir(files->failed, &entries, is_piece, NULL);
	if (n < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	for (i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", files->failed,
			 entries[i]->d_name);
		if (!rc && !is_there(files, entries[i]->d_name))
			rc = files_add(files, path, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return rc;
}

static int by_name(const void *a, const void *b)
{
	const struct uz__conf_file *x = a, *y = b;

	return strcmp(x->name, y->name);
}

int uz__conf_files_find(struct uz__conf_files *files, struct uz_err *err)
{
	struct dirs dirs;
	size_t i;
	int rc;

	dirs_find(&dirs);
	rc = find_main(files, &dirs);
	for (i = 0; i < dirs.nr && !rc; i++)
		rc = find_pieces(files, dirs.path[i]);
	if (rc)
		return uz_err_set(err, rc, "%s", strerror(-rc));
	if (files->nr)
		qsort(files->files, files->nr, sizeof(*files->files), by_name);
	return 0;
}

void uz__conf_files_free(struct uz__conf_files *files)
{
	size_t i;

	for (i = 0; i < files->nr; i++) {
		free(files->files[i].path);
		free(files->files[i].name);
	}
	free(files->files);
	*files = (struct uz__conf_files){ 0 };
}
