// SPDX-License-Identifier: MIT
/*
 * Where results go, and how a failure becomes an exit status.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

int output_json(const struct output *o, json_t *root, struct uz_err *err)
{
	const size_t flags = JSON_INDENT(1) | JSON_REAL_PRECISION(6);
	const char *path = o->json_path;
	FILE *out = path ? fopen(path, "we") : stdout;
	int ret = 0;

	if (!out) {
		ret = -errno;
	} else {
		if (!root || json_dumpf(root, out, flags) < 0 ||
		    fputc('\n', out) == EOF)
			ret = root ? -EIO : -ENOMEM;
		if ((path ? fclose(out) : fflush(out)) != 0 && !ret)
			ret = -errno;
	}
	json_decref(root);
	if (ret)
		uz_err_set(err, ret, "%s: cannot write the results: %s",
			   path ? path : "stdout", strerror(-ret));
	return ret;
}

void output_printable(char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

int bench_exit(const struct uz_err *err)
{
	if (err->code == -EINTR)
		return EXIT_INTERRUPTED;
	if (err->code)
		fprintf(stderr, "uzram-bench: %s\n", err->text);
	switch (-err->code) {
	case 0:
		return EXIT_DONE;
	case EINVAL:
	case ERANGE:
	case E2BIG:
		return EXIT_USAGE;
	case ENOTSUP:
	case EPERM:
	case EACCES:
		return EXIT_UNSUPPORTED;
	default:
		return EXIT_FAILED;
	}
}
