// SPDX-License-Identifier: MIT
/*
 * Configuration files: what they say about a device, and what is wrong in
 * them. Each setting is tried where it stands, so that a mistake has a line;
 * those of other devices are tried too, on a configuration that is thrown away.
 *
 * A mistake of this device ends it, as it would on the command line. One of
 * another device is none of our business but worth a word. Where nobody knows
 * whose a line is, it may have been ours.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <uzram/daemon/conf.h>
#include <uzram/util/ini.h>

#include "daemon_priv.h"

/*
 * struct conf - files that are gone through
 * @name:   the device, or NULL: every mistake is told
 * @config: what is set for it
 * @other:  what is set for all others
 * @tell:   who is told of mistakes, or NULL
 * @arg:    for @tell
 * @file:   that is being read
 * @count:  so far
 * @err:    the first mistake of this device
 * @rc:     the first failure
 */
struct conf {
	const char *name;
	struct uz_daemon_config *config;
	struct uz_daemon_config other;
	uz_conf_tell_t tell;
	void *arg;
	const char *file;
	struct uz_conf_count count;
	struct uz_err *err;
	int rc;
};

/* What zram-generator does by a section and others do here. */
static bool is_foreign(const char *key)
{
	static const char *const keys[] = { "swap-priority", "mount-point",
					    "fs-type", "options",
					    "host-memory-limit" };
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (!strcmp(key, keys[i]))
			return true;
	return false;
}

/* @section: whose it is; NULL: nobody knows. */
static void conf_wrong(struct conf *c, const char *section, unsigned int line,
		       int rc, const char *text)
{
	bool ours = c->name &&
		    (!section || !*section || !strcmp(section, c->name));

	c->count.mistakes++;
	if (!ours && c->tell)
		c->tell(c->arg, c->file, line, text);
	if ((c->name && !ours) || c->rc)
		return;
	c->rc = rc;
	if (line)
		uz_err_set(c->err, rc, "%s:%u: %s", c->file, line, text);
	else
		uz_err_set(c->err, rc, "%s: %s", c->file, text);
}

static void conf_mistake(void *arg, const struct uz_ini_line *at,
			 const char *text)
{
	conf_wrong(arg, at->section, at->number, -EINVAL, text);
}

static void conf_line(void *arg, const struct uz_ini_line *line)
{
	struct conf *c = arg;
	struct uz_err err;
	int rc;

	if (!line->key) {
		c->count.devices++;
		rc = uz_daemon_check_name(line->section, &err);
	} else if (is_foreign(line->key)) {
		rc = uz_err_set(&err, -EINVAL,
				"'%s': a section says nothing of mounting and "
				"swapping; see mount and swapon in uzramctl(8)",
				line->key);
	} else {
		rc = uz_daemon_config_set(
			c->name && !strcmp(line->section, c->name) ? c->config
								   : &c->other,
			line->key, line->value, &err);
	}
	if (rc)
		conf_wrong(c, line->section, line->number, -EINVAL, err.text);
}

static void conf_read(struct conf *c, const char *file)
{
	const struct uz_ini_reader reader = {
		.line = conf_line,
		.mistake = conf_mistake,
		.arg = c,
	};
	struct uz_err err;
	int rc;

	c->file = file;
	c->count.files++;
	rc = uz_ini_read(file, &reader, &err);
	if (rc)
		conf_wrong(c, NULL, 0, rc, err.text);
}

static void conf_read_all(struct conf *c)
{
	struct uz__conf_files files = { 0 };
	struct uz_err err;
	size_t i;
	int rc = uz__conf_files_find(&files, &err);

	if (rc) {
		c->file = files.failed;
		conf_wrong(c, NULL, 0, rc, err.text);
	}
	for (i = 0; i < files.nr && !rc; i++)
		conf_read(c, files.files[i].path);
	uz__conf_files_free(&files);
}

int uz_conf_load(struct uz_daemon_config *config, const char *name,
		 uz_conf_tell_t tell, void *arg, struct uz_err *err)
{
	struct conf c = {
		.name = name,
		.config = config,
		.tell = tell,
		.arg = arg,
		.err = err,
	};

	uz_daemon_config_init(&c.other);
	conf_read_all(&c);
	return c.rc;
}

int uz_conf_check(const char *file, uz_conf_tell_t tell, void *arg,
		  struct uz_conf_count *count)
{
	struct conf c = { .tell = tell, .arg = arg };

	uz_daemon_config_init(&c.other);
	if (file)
		conf_read(&c, file);
	else
		conf_read_all(&c);
	*count = c.count;
	return c.rc;
}
