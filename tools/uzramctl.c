// SPDX-License-Identifier: MIT
/*
 * uzramctl: a convenient client of the files in a device's directory. Here are
 * the table of verbs and what is said to people; each verb has a file of its
 * own in ctl/. A command line that begins with an option and not with a verb
 * is taken as zramctl(8) would take it.
 *
 * stdout is for data, stderr for messages.
 */
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "ctl/ctl.h"

static const struct ctl_verb verbs[] = {
	{ "add",
	  "[NAME] [--size SIZE] [--algorithm CODEC] [--algorithm-params PARAMS] "
	  "[--threads N] [--option KEY=VALUE]... [--backing FILE] "
	  "[--frontend fuse|ublk|auto] [--restore FILE] [--cgroup PATH]",
	  "start a device and print the path of its block file", ctl_verb_add },
	{ "list",
	  "[--output LIST|--output-all] [--noheadings] [--bytes] [--raw|--json] "
	  "[NAME]...",
	  "one row per device; also without any verb", ctl_verb_list },
	{ "stat", "[--json] NAME | --prometheus [NAME]...",
	  "what a device holds, in words and numbers", ctl_verb_stat },
	{ "top", "[--delay SECONDS] [--count N] [NAME]...",
	  "what devices are doing, again and again", ctl_verb_top },
	{ "histogram", "[--json|--plain|--svg] NAME",
	  "how sizes, codecs and ages of the stored pages are distributed",
	  ctl_verb_histogram },
	{ "get", "NAME ATTRIBUTE", "print an attribute", ctl_verb_get },
	{ "set", "NAME ATTRIBUTE VALUE", "write an attribute", ctl_verb_set },
	{ "compact", "NAME...", "give back memory that lies between pages",
	  ctl_verb_compact },
	{ "idle", "NAME [all|AGE]",
	  "mark pages as idle: all, or those unused for AGE seconds",
	  ctl_verb_idle },
	{ "recompress", "NAME [KEY=VALUE]...",
	  "encode pages anew by a secondary codec", ctl_verb_recompress },
	{ "train", "[--size SIZE] [--algo CODEC] NAME",
	  "make a dictionary of what is stored, and use it", ctl_verb_train },
	{ "writeback",
	  "NAME huge|idle|huge_idle|incompressible|page_indexes=N-M...",
	  "move pages from memory to the backing store", ctl_verb_writeback },
	{ "save", "NAME FILE", "write a device to a file, as it is now",
	  ctl_verb_save },
	{ "resize", "NAME SIZE", "make a device larger, while it is in use",
	  ctl_verb_resize },
	{ "reset", "[--force] NAME...", "drop the data, size and settings",
	  ctl_verb_reset },
	{ "remove", "[--force] NAME...", "end a device", ctl_verb_remove },
	{ "mount", "[--types FSTYPE] NAME DIR",
	  "mount it through a loop device, with a new file system if empty",
	  ctl_verb_mount },
	{ "umount", "NAME|DIR", "unmount, and detach the loop device",
	  ctl_verb_umount },
	{ "scrub", "[--rate SIZE] NAME", "look at every stored page for damage",
	  ctl_verb_scrub },
	{ "upgrade", "[--binary PATH] NAME",
	  "go on with the program that is installed now", ctl_verb_upgrade },
	{ "swapon", "[--priority N] [--force] NAME",
	  "swap to it, through a loop device", ctl_verb_swapon },
	{ "swapoff", "NAME", "swap to it no longer", ctl_verb_swapoff },
	{ "run",
	  "[--size SIZE] [--algorithm CODEC] [--option KEY=VALUE]... "
	  "[--mkfs FSTYPE] [--] COMMAND [ARGUMENT]...",
	  "a device that lives as long as a command", ctl_verb_run },
	{ "check-config", "[FILE]", "find mistakes in configuration files",
	  ctl_verb_check_config },
	{ "doctor", "", "what this system has of what devices need",
	  ctl_verb_doctor },
};

static const struct ctl_verb *find_verb(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

void ctl_note(const char *fmt, ...)
{
	char line[1024], *p;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	/* Names come from people: one message stays one line. */
	for (p = line; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	fprintf(stderr, "uzramctl: %s\n", line);
}

enum uz_exit ctl_fail(const struct uz_err *err)
{
	ctl_note("%s", err->text);
	return uz_exit_status(err->code);
}

enum uz_exit ctl_usage(const char *name)
{
	const struct ctl_verb *verb = find_verb(name);

	if (verb)
		ctl_note("usage: uzramctl %s %s", verb->name, verb->args);
	else
		ctl_note("%s: no such verb; see uzramctl --help", name);
	return UZ_EXIT_USAGE;
}

/* Arguments after @column, broken before a bracket so as to fit 80 columns. */
static void print_args(const char *args, int column)
{
	while (*args) {
		const char *next = strstr(args + 1, " [");
		int len = next ? (int)(next - args) : (int)strlen(args);

		if (column + 1 + len > 80)
			column = printf("\n%15s", "") - 1;
		column += printf(" %.*s", len, args);
		args += len + (next != NULL);
	}
}

enum uz_exit ctl_help(const char *name)
{
	const struct ctl_verb *verb = find_verb(name);

	if (verb) {
		print_args(verb->args,
			   printf("Usage: uzramctl %s", verb->name));
		printf("\n%s\n", verb->what);
	}
	return UZ_EXIT_OK;
}

bool ctl_words(int argc, char **argv, int min, int max, enum uz_exit *status)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int c = getopt_long(argc, argv, "h", options, NULL);

	if (c >= 0)
		*status = c == 'h' ? ctl_help(argv[0]) : UZ_EXIT_USAGE;
	else if (argc - optind < min || argc - optind > max)
		*status = ctl_usage(argv[0]);
	else
		return true;
	return false;
}

static enum uz_exit help(void)
{
	size_t i;

	fputs("Usage: uzramctl [--rundir DIR] [VERB ...]\n"
	      "Control compressed RAM devices. Without a verb: list them.\n\n",
	      stdout);
	for (i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		printf("  %-13s%s\n", verbs[i].name, verbs[i].what);
	fputs("\n'uzramctl VERB --help' shows what follows a verb. zramctl's "
	      "own spellings work:\n"
	      "  uzramctl -f -s SIZE [-a CODEC] [-t THREADS]     add\n"
	      "  uzramctl -r NAME...                             reset\n"
	      "  uzramctl [-nb] [-o LIST] [--raw|--json] [NAME]  list\n"
	      "\n"
	      "A NAME may be the path of the device's block file, too.\n"
	      "See uzramctl(8) and uzram(7).\n",
	      stdout);
	return UZ_EXIT_OK;
}

/* The daemon runs in the root directory, so its run directory is absolute. */
static int set_rundir(const char *path)
{
	char here[CTL_PATH_MAX], full[2 * CTL_PATH_MAX + 1];

	if (*path == '/')
		return setenv("UZRAM_RUNDIR", path, 1);
	if (!getcwd(here, sizeof(here)))
		return -1;
	snprintf(full, sizeof(full), "%s/%s", here, path);
	return setenv("UZRAM_RUNDIR", full, 1);
}

/* "--rundir DIR" or "--rundir=DIR" in front of everything else. */
static int take_rundir(int *argc, char ***argv)
{
	static const char option[] = "--rundir";
	const size_t len = sizeof(option) - 1;
	const char *rundir = getenv("UZRAM_RUNDIR");
	const char *first = *argc > 1 ? (*argv)[1] : "";
	int words = 0;

	if (!strcmp(first, option)) {
		if (*argc < 3) {
			ctl_note("%s needs a directory", option);
			return -1;
		}
		rundir = (*argv)[2];
		words = 2;
	} else if (!strncmp(first, option, len) && first[len] == '=') {
		rundir = first + len + 1;
		words = 1;
	}
	*argv += words;
	*argc -= words;
	if (rundir && *rundir && set_rundir(rundir)) {
		ctl_note("%s: cannot be made the run directory", rundir);
		return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	const struct ctl_verb *verb;
	const char *first;

	/* Which characters can be drawn; numbers stay as they are. */
	setlocale(LC_CTYPE, "");
	/* Whoever ignores them hands that on; then no child's end is told. */
	signal(SIGCHLD, SIG_DFL);
	if (take_rundir(&argc, &argv))
		return UZ_EXIT_USAGE;
	first = argc > 1 ? argv[1] : "-";
	if (!strcmp(first, "--help") || !strcmp(first, "-h"))
		return help();
	if (!strcmp(first, "--version") || !strcmp(first, "-V")) {
		puts("uzramctl " UZ_VERSION);
		return UZ_EXIT_OK;
	}
	if (*first == '-')
		return ctl_zramctl(argc, argv);
	verb = find_verb(first);
	if (!verb)
		return ctl_usage(first);
	return verb->run(argc - 1, argv + 1);
}
