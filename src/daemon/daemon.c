// SPDX-License-Identifier: MIT
/* A stub until the layer is written. */
#include <errno.h>
#include <uzram/daemon.h>
#pragma GCC diagnostic ignored "-Wunused-parameter"
void uz_daemon_config_init(struct uz_daemon_config *config)
{
}
int uz_daemon_config_set(struct uz_daemon_config *config, const char *key,
			 const char *value, struct uz_err *err)
{
	return -ENOTSUP;
}
int uz_daemon_check_name(const char *name, struct uz_err *err)
{
	return -ENOTSUP;
}
int uz_daemon_rundir(char *path, size_t size)
{
	return -ENOTSUP;
}
int uz_daemon_run(const struct uz_daemon_config *config, struct uz_err *err)
{
	return -ENOTSUP;
}
