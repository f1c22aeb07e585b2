/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_CTL_H
#define UZRAM_CTL_H

#include <dirent.h>
#include <sys/types.h>

#include "exit.h"
#include <uzram/types.h>
#include <uzram/util/err.h>

/*
 * What the verbs of uzramctl share. Below the verbs, functions return 0 or
 * -errno and say why in an uz_err; a verb ends by returning how the program
 * ends, and has said everything by then.
 */

/*
 * struct ctl_verb - one verb
 * @name: as typed
 * @args: what follows it, for the usage line
 * @what: one line for the help text
 * @run:  argv[0] is the verb itself
 */
struct ctl_verb {
	const char *name;
	const char *args;
	const char *what;
	enum uz_exit (*run)(int argc, char **argv);
};

/* ---- uzramctl.c ---- */

/* "uzramctl: " and the reason on stderr; returns the status for it. */
enum uz_exit ctl_fail(const struct uz_err *err);

/* A command line that makes no sense; names the usage of @verb. */
enum uz_exit ctl_usage(const char *verb);

/* Prints the usage of @verb on stdout. */
enum uz_exit ctl_help(const char *verb);

/*
 * For a verb with no option but --help: whether @min to @max words follow it,
 * from argv[optind] on. If not, it has been said, and the verb ends by @status.
 */
bool ctl_words(int argc, char **argv, int min, int max, enum uz_exit *status);

/* A remark on stderr. */
void ctl_note(const char *fmt, ...) uz_printf(1, 2);

/* ---- device.c ---- */

#define CTL_PATH_MAX 4096

/* KEY=VALUE, where the value is a path. */
#define CTL_SETTING_MAX (CTL_PATH_MAX + 16)

/*
 * struct ctl_device - a device that is mounted
 * @name: its name
 * @dir:  its directory
 * @fs:   st_dev of that
 * @disk: st_rdev of its block device, where it has one (ublk); else 0
 */
struct ctl_device {
	char name[256];
	char dir[CTL_PATH_MAX];
	dev_t fs;
	dev_t disk;
};

/* The run directory; fails with a sentence. */
uz_must_check int ctl_rundir(char path[CTL_PATH_MAX], struct uz_err *err);

/*
 * Finds a device by its name, its directory or its block file. -ENOENT: no
 * such device; -ENOTCONN: its daemon has died, and @dev is filled but for @fs
 * and @disk.
 */
uz_must_check int ctl_device_open(struct ctl_device *dev, const char *arg,
				  struct uz_err *err);

/* The path of a file of the device; fails by cutting it. */
void ctl_device_path(const struct ctl_device *dev, const char *file,
		     char path[CTL_PATH_MAX]);

/* An attribute's text, from malloc, without its last line feed. */
uz_must_check int ctl_device_read(const struct ctl_device *dev,
				  const char *attr, char **text,
				  struct uz_err *err);

/* Writes an attribute; when refused, @err is the daemon's own sentence. */
uz_must_check int ctl_device_write(const struct ctl_device *dev,
				   const char *attr, const char *text,
				   struct uz_err *err);

/* The codec in use, without the others; from malloc. */
uz_must_check int ctl_device_codec(const struct ctl_device *dev, char **codec,
				   struct uz_err *err);

/* -EINVAL and a sentence unless the device has a size. */
uz_must_check int ctl_device_sized(const struct ctl_device *dev,
				   struct uz_err *err);

/* A path as somebody in another directory would name it. */
uz_must_check int ctl_absolute(const char *file, char path[CTL_PATH_MAX],
			       struct uz_err *err);

/* A number out of the text of the attribute "stat"; 0 when it is not there. */
uint64_t ctl_stat_number(const char *stat, const char *name);

/* What it has grown by; 0 where the device was reset in between. */
uint64_t ctl_stat_growth(const char *before, const char *after,
			 const char *name);

/*
 * What may be devices in the run directory, sorted by name: their number, each
 * to be freed and then the list, or -errno.
 */
uz_must_check int ctl_device_names(struct dirent ***entries,
				   struct uz_err *err);

/* Calls @each for every device in the run directory, sorted by name. */
uz_must_check int ctl_device_each(int (*each)(const struct ctl_device *dev,
					      void *arg, struct uz_err *err),
				  void *arg, struct uz_err *err);

/* ---- disk.c ---- */

/*
 * struct ctl_disk - the device's own disk, or a loop device that is ours as
 *                   long as @fd is open
 * @path: "/dev/ublkbN" or "/dev/loopN"
 * @fd:   it, or -1
 */
struct ctl_disk {
	char path[32];
	int fd;
};

/* Opens the disk; where there is none, attaches a loop device. */
uz_must_check int ctl_disk_attach(struct ctl_disk *disk,
				  const struct ctl_device *dev,
				  struct uz_err *err);

/* ---- mount.c ---- */

/* Mounts a device on @dir; @fstype: NULL for what is there, or ext4. */
uz_must_check int ctl_mount(const char *name, const char *dir,
			    const char *fstype, struct uz_err *err);

/* ---- release.c ---- */

struct uz_users;

/* uz_users_find() of the device and its disk, with a sentence. */
uz_must_check int ctl_users(const struct ctl_device *dev, bool processes,
			    struct uz_users *users, struct uz_err *err);

/* -EBUSY and a line that names the users, when there are any. */
uz_must_check int ctl_refuse_used(const struct ctl_device *dev,
				  struct uz_err *err);

/* What lets go of a device. */
enum ctl_release {
	CTL_RELEASE_ALL,
	CTL_RELEASE_MOUNTS,
	CTL_RELEASE_SWAP,
};

/*
 * Unmounts what stands on the device's disk or loop devices, ends swapping to
 * them and detaches loop devices; with @dir, only what is mounted exactly
 * there.
 */
uz_must_check int ctl_release(const struct ctl_device *dev,
			      enum ctl_release what, const char *dir,
			      struct uz_err *err);

/* ---- swap_room.c ---- */

/* Before swapoff of @path: says so when memory will hardly suffice. */
void ctl_note_swap_room(const char *path);

/* ---- add.c ---- */

/*
 * struct ctl_add - a device to be added
 * @name:   its name, or NULL: the first free uzN
 * @codec:  NULL for the default
 * @params: codec parameters given apart, NULL for none
 * @dir:    where to mount it; "": RUNDIR/NAME
 * @restore: memory for the path of an image
 * @backing: memory for a setting
 * @cgroup: the same
 * @args:   further words for uzramd
 * @nargs:  how many
 */
struct ctl_add {
	const char *name;
	const char *codec;
	const char *params;
	const char *dir;
	char restore[CTL_PATH_MAX];
	char backing[CTL_SETTING_MAX];
	char cgroup[CTL_SETTING_MAX];
	const char *args[64];
	size_t nargs;
};

/* Adds an option and its value for uzramd. */
uz_must_check int ctl_add_option(struct ctl_add *add, const char *option,
				 const char *value, struct uz_err *err);

/* Starts a daemon; @path: of its block file. A failure was told to people. */
enum uz_exit ctl_add_start(const struct ctl_add *add, char path[CTL_PATH_MAX]);

/* The same, and prints the path. */
enum uz_exit ctl_add_run(const struct ctl_add *add);

/* ---- remove.c ---- */

/* Ends a device; @force: whoever uses it. */
uz_must_check int ctl_remove(const char *name, bool force, struct uz_err *err);

/* ---- list.c ---- */

/*
 * struct ctl_list - how to print the table
 * @columns: numbers of columns
 * @ncolumns: how many; 0: the default ones
 * @bytes: sizes in bytes
 * @raw, @json, @noheadings: as libsmartcols means them
 */
struct ctl_list {
	int columns[32];
	size_t ncolumns;
	bool bytes;
	bool raw;
	bool json;
	bool noheadings;
};

enum {
	CTL_OPT_JSON = 512,
	CTL_OPT_RAW,
	CTL_OPT_ALL,
};

/* clang-format off */
#define CTL_LIST_SHORT "o:nb"
#define CTL_LIST_LONG                                                  \
	{ "output", required_argument, NULL, 'o' },                    \
	{ "output-all", no_argument, NULL, CTL_OPT_ALL },              \
	{ "noheadings", no_argument, NULL, 'n' },                      \
	{ "bytes", no_argument, NULL, 'b' },                           \
	{ "raw", no_argument, NULL, CTL_OPT_RAW },                     \
	{ "json", no_argument, NULL, CTL_OPT_JSON }
/* clang-format on */

/* Takes one of the options above; -EINVAL: not one of them, or wrong. */
uz_must_check int ctl_list_option(struct ctl_list *list, int c, const char *arg,
				  struct uz_err *err);
enum uz_exit ctl_list_print(const struct ctl_list *list, char **names,
			    int count);

/* ---- stat.c ---- */

struct ctl_size_text {
	char text[24];
};

/* "1.6 GiB": two digits that matter are enough for a sentence. */
struct ctl_size_text ctl_size_words(uint64_t bytes);

/* ---- bar.c ---- */

#define CTL_BAR_MAX 200

struct ctl_bar_text {
	char text[3 * CTL_BAR_MAX + 1];
};

/* @share, 0 to 1, of @width columns; what is above 0 shows. */
struct ctl_bar_text ctl_bar(double share, unsigned int width);

/* Columns of the terminal at @fd, or 80. */
unsigned int ctl_columns(int fd);

/* ---- progress.c ---- */

/* Draws a bar behind @what, if stderr is a terminal; wipes it out again. */
void ctl_progress(const char *what, uint64_t done, uint64_t all);
void ctl_progress_end(void);

/* ---- watched.c ---- */

/*
 * Writes words to an attribute whose store takes long; a terminal is shown how
 * far it is, by the statistics ATTR_running, ATTR_total and ATTR_@done.
 */
uz_must_check int ctl_write_watched(const struct ctl_device *dev,
				    const char *attr, char **words, int nr,
				    const char *done, struct uz_err *err);

/* ---- forced.c ---- */

/* The verb with its options and names: @one for each of the names. */
enum uz_exit ctl_forced(const char *verb,
			int (*one)(const char *name, bool force,
				   struct uz_err *err),
			int argc, char **argv);

/* ---- the verbs, each in the file of its name ---- */

enum uz_exit ctl_verb_add(int argc, char **argv);
enum uz_exit ctl_verb_list(int argc, char **argv);
enum uz_exit ctl_verb_stat(int argc, char **argv);
enum uz_exit ctl_verb_top(int argc, char **argv);
enum uz_exit ctl_verb_histogram(int argc, char **argv);
enum uz_exit ctl_verb_get(int argc, char **argv);
enum uz_exit ctl_verb_set(int argc, char **argv);
enum uz_exit ctl_verb_compact(int argc, char **argv);
enum uz_exit ctl_verb_idle(int argc, char **argv);
enum uz_exit ctl_verb_recompress(int argc, char **argv);
enum uz_exit ctl_verb_train(int argc, char **argv);
enum uz_exit ctl_verb_writeback(int argc, char **argv);
enum uz_exit ctl_verb_save(int argc, char **argv);
enum uz_exit ctl_verb_reset(int argc, char **argv);
enum uz_exit ctl_verb_resize(int argc, char **argv);
enum uz_exit ctl_verb_remove(int argc, char **argv);
enum uz_exit ctl_verb_mount(int argc, char **argv);
enum uz_exit ctl_verb_umount(int argc, char **argv);
enum uz_exit ctl_verb_upgrade(int argc, char **argv);
enum uz_exit ctl_verb_scrub(int argc, char **argv);
enum uz_exit ctl_verb_swapon(int argc, char **argv);
enum uz_exit ctl_verb_swapoff(int argc, char **argv);
enum uz_exit ctl_verb_run(int argc, char **argv);
enum uz_exit ctl_verb_check_config(int argc, char **argv);
enum uz_exit ctl_verb_doctor(int argc, char **argv);

/* No verb: list, add or reset, as zramctl(8) spells them. */
enum uz_exit ctl_zramctl(int argc, char **argv);

/* Resets one device; used by the verb and by zramctl's -r. */
uz_must_check int ctl_reset_device(const char *name, bool force,
				   struct uz_err *err);

#endif
