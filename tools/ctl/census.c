// SPDX-License-Identifier: MIT
/*
 * What lies where in a device: the text of its attributes as numbers. Each
 * attribute is of a moment of its own, so sums may differ by what was stored
 * in between. block_state is read as a stream, since it has a line for each
 * page; who may not read it gets the rest.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "census.h"
#include <uzram/util/cleanup.h>

/* Bytes of a line of block_state, and how many are read at a time. */
#define LINE  40
#define LINES 3200

/* Columns of pool_stat that matter here, from 0. */
enum {
	FIELD_SIZE = 1,
	FIELD_PLACES = 12,
	FIELD_OBJECTS = 13,
	FIELD_PAGES = 15,
	FIELD_FREEABLE = 17,
	FIELDS,
};

/* A line of pool_stat; false: it is no class's. */
static bool parse_class(const char *line, struct census_class *class)
{
	uint64_t fields[FIELDS];
	char *end;
	int i;

	for (i = 0; i < FIELDS; i++) {
		fields[i] = strtoull(line, &end, 10);
		if (end == line || (*end != ' ' && *end != '\n' && *end))
			return false;
		line = end;
	}
	*class = (struct census_class){
		.size = fields[FIELD_SIZE],
		.places = fields[FIELD_PLACES],
		.objects = fields[FIELD_OBJECTS],
		.memory = fields[FIELD_PAGES] * UZ_PAGE_SIZE,
		.freeable = fields[FIELD_FREEABLE] * UZ_PAGE_SIZE,
	};
	return class->size > 0;
}

static int read_classes(struct census *c, const struct ctl_device *dev,
			struct uz_err *err)
{
	uz_autofree char *text = NULL, *zpool = NULL;
	size_t lines = 1;
	const char *line;
	int rc = ctl_device_read(dev, "pool_stat", &text, err);

	if (!rc)
		rc = ctl_device_read(dev, "zpool", &zpool, err);
	if (rc)
		return rc;
	c->sized = !strcmp(zpool, "zsmalloc");
	for (line = text; (line = strchr(line, '\n')); line++)
		lines++;
	c->classes = calloc(lines, sizeof(*c->classes));
	if (!c->classes)
		return uz_err_set(err, -ENOMEM, "out of memory");
	for (line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (parse_class(line, &c->classes[c->nr_classes]))
			c->nr_classes++;
	}
	return 0;
}

static int read_codecs(struct census *c, const struct ctl_device *dev,
		       struct uz_err *err)
{
	uz_autofree char *text = NULL;
	struct census_codec *codec;
	const char *line;
	int rc = ctl_device_read(dev, "debug_stat", &text, err);

	if (rc)
		return rc;
	for (line = text; line && c->nr_codecs < CENSUS_CODECS;
	     line = strchr(line, '\n')) {
		line += *line == '\n';
		codec = &c->codecs[c->nr_codecs];
		/* The text of a codec has colons itself, but no blanks. */
		if (sscanf(line,
			   "codec %64s %" SCNu64 " pages %" SCNu64 " bytes",
			   codec->name, &codec->pages, &codec->bytes) != 3)
			continue;
		codec->name[strlen(codec->name) - 1] = '\0';
		c->nr_codecs++;
	}
	return 0;
}

static int read_kinds(struct census *c, const struct ctl_device *dev,
		      struct uz_err *err)
{
	uz_autofree char *stat = NULL;
	int rc = ctl_device_read(dev, "stat", &stat, err);

	if (rc)
		return rc;
	c->pages = ctl_stat_number(stat, "orig_data_size") / UZ_PAGE_SIZE;
	c->same = ctl_stat_number(stat, "same_pages");
	c->huge = ctl_stat_number(stat, "huge_pages");
	c->backed = ctl_stat_number(stat, "backed_pages");
	return 0;
}

const uint64_t census_ages[CENSUS_AGES] = { 1,	  10,	 60,	600,
					    3600, 21600, 86400, UINT64_MAX };

static void count_line(struct census *c, const char *line, uint64_t now)
{
	/* "%12llu %12u.%06d %c%c%c%c%c%c\n" */
	uint64_t used = strtoull(line + 13, NULL, 10), age;
	const char *flags = line + 33;
	int i = 0;

	c->seen++;
	c->idle += flags[3] == 'i';
	c->recompressed += flags[4] == 'r';
	if (!used)
		return;
	age = now > used ? now - used : 0;
	while (age > census_ages[i])
		i++;
	c->ages[i]++;
	c->aged++;
}

static void read_pages(struct census *c, const struct ctl_device *dev)
{
	uz_autofree char *buf = malloc(LINE * LINES);
	char path[CTL_PATH_MAX];
	struct timespec now;
	uz_autoclose int fd = -1;
	size_t have = 0, at;
	ssize_t n;

	ctl_device_path(dev, "block_state", path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (!buf || fd < 0)
		return;
	clock_gettime(CLOCK_BOOTTIME, &now);
	while ((n = read(fd, buf + have, LINE * LINES - have)) > 0) {
		have += (size_t)n;
		for (at = 0; have - at >= LINE; at += LINE)
			count_line(c, buf + at, (uint64_t)now.tv_sec);
		have -= at;
		memmove(buf, buf + at, have);
	}
	c->looked = !n;
}

int census_take(struct census *c, const struct ctl_device *dev,
		struct uz_err *err)
{
	int rc;

	*c = (struct census){ 0 };
	rc = read_kinds(c, dev, err);
	if (!rc)
		rc = read_classes(c, dev, err);
	if (!rc)
		rc = read_codecs(c, dev, err);
	if (!rc)
		read_pages(c, dev);
	return rc;
}

void census_free(struct census *c)
{
	free(c->classes);
	c->classes = NULL;
}

/* ---- as people want to see it ---- */

static size_t row_of(uint64_t size)
{
	uint64_t row = (size - 1) / CENSUS_ROW_BYTES;

	return row < CENSUS_ROWS ? (size_t)row : CENSUS_ROWS - 1;
}

void census_sizes(const struct census *c, struct census_sizes *sizes)
{
	struct census_row *rows = sizes->rows;
	size_t i;

	memset(sizes, 0, sizeof(*sizes));
	for (i = 0; i < CENSUS_ROWS - 1; i++)
		snprintf(rows[i].range, sizeof(rows[i].range), "%4zu to %4zu",
			 i * CENSUS_ROW_BYTES + 1, (i + 1) * CENSUS_ROW_BYTES);
	snprintf(rows[i].range, sizeof(rows[i].range), "more than %u",
		 UZ_PAGE_SIZE);
	for (i = 0; i < c->nr_classes; i++) {
		struct census_row *row = &rows[row_of(c->classes[i].size)];

		row->objects += c->classes[i].objects;
		row->memory += c->classes[i].memory;
		row->freeable += c->classes[i].freeable;
	}
	for (i = 0; i < CENSUS_ROWS; i++) {
		sizes->all += rows[i].objects;
		if (rows[i].objects > sizes->most)
			sizes->most = rows[i].objects;
	}
}

size_t census_kinds(const struct census *c,
		    struct census_kind kinds[CENSUS_KINDS])
{
	const uint64_t rest = c->same + c->huge, all = c->pages;
	const struct census_kind known[CENSUS_KINDS] = {
		/* The numbers are not of one moment. */
		{ "compressed", all > rest ? all - rest : 0, all },
		{ "stored as they are", c->huge, all },
		{ "filled with one word", c->same, all },
		{ "on the backing store", c->backed, all },
		{ "idle", c->idle, c->seen },
		{ "recompressed", c->recompressed, c->seen },
	};

	memcpy(kinds, known, sizeof(known));
	return c->looked ? CENSUS_KINDS : CENSUS_KINDS - 2;
}

static void age_text(uint64_t seconds, char *text, size_t size)
{
	if (seconds < 120)
		snprintf(text, size, "%" PRIu64 " s", seconds);
	else if (seconds < 7200)
		snprintf(text, size, "%" PRIu64 " min", seconds / 60);
	else
		snprintf(text, size, "%" PRIu64 " h", seconds / 3600);
}

struct census_age_name census_age_name(int group)
{
	struct census_age_name name;
	char from[32], to[32];

	age_text(census_ages[group], to, sizeof(to));
	age_text(census_ages[group ? group - 1 : 0], from, sizeof(from));
	if (!group)
		snprintf(name.text, sizeof(name.text), "up to %s ago", to);
	else if (group < CENSUS_AGES - 1)
		snprintf(name.text, sizeof(name.text), "%s to %s ago", from,
			 to);
	else
		snprintf(name.text, sizeof(name.text), "before that");
	return name;
}
