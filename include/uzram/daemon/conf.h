/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_DAEMON_CONF_H
#define UZRAM_DAEMON_CONF_H

#include <uzram/daemon.h>
#include <uzram/types.h>
#include <uzram/util/err.h>

/**
 * DOC: configuration files
 *
 * Sections are devices, settings are those of uz_daemon_config_set(). Read are
 *
 * - the first that there is of uzram.conf in these directories: for root /etc,
 *   /run, /usr/local/lib, /usr/lib; for others $XDG_CONFIG_HOME or ~/.config;
 * - then all of uzram.conf.d/NAME.conf in the same directories, sorted by NAME.
 *   Of those by the same NAME only the first directory's is read.
 *
 * What is read later is stronger. A link to /dev/null takes a file's place and
 * says nothing. UZRAM_CONFIG_ROOT in the environment is put in front of root's
 * directories, for whomever (for tests).
 */

/**
 * typedef uz_conf_tell_t - a mistake in a file
 * @arg:  of the caller's
 * @file: its path
 * @line: its line, or 0: the file itself cannot be read
 * @text: what is wrong, why, and what to do
 */
typedef void (*uz_conf_tell_t)(void *arg, const char *file, unsigned int line,
			       const char *text);

/**
 * uz_conf_load() - what the files say about a device
 * @config: what they say is set; the rest stays
 * @name:   of the device
 * @tell:   is told of mistakes that concern other devices; NULL: nobody is
 * @arg:    for @tell
 * @err:    the first mistake that concerns this one, as FILE:LINE: why; may be
 *          NULL
 *
 * A file that cannot be read, and a line of which nobody knows whose it is,
 * concern every device.
 *
 * Context: any thread; reads files and the environment, allocates.
 * Return:  0, also when there is no file or no such section; -EINVAL a mistake;
 *          other -errno of reading. After a failure @config is unspecified.
 */
uz_must_check int uz_conf_load(struct uz_daemon_config *config,
			       const char *name, uz_conf_tell_t tell, void *arg,
			       struct uz_err *err);

/**
 * struct uz_conf_count - what a check has seen
 * @files:    that were read
 * @devices:  sections in them
 * @mistakes: that were told
 */
struct uz_conf_count {
	unsigned int files;
	unsigned int devices;
	unsigned int mistakes;
};

/**
 * uz_conf_check() - find every mistake
 * @file:  of this file; NULL: of all that would be read
 * @tell:  is told of each
 * @arg:   for @tell
 * @count: filled
 *
 * Context: as uz_conf_load().
 * Return:  0; -EINVAL there are mistakes; other -errno when a file could not be
 *          read, which was told, too.
 */
uz_must_check int uz_conf_check(const char *file, uz_conf_tell_t tell,
				void *arg, struct uz_conf_count *count);

#endif
