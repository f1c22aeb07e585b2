/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_DAEMON_H
#define UZRAM_DAEMON_H

#include <uzram/compress.h>
#include <uzram/device/backing.h>
#include <uzram/device/codecs.h>
#include <uzram/frontend.h>
#include <uzram/pool.h>
#include <uzram/types.h>
#include <uzram/util/err.h>
#include <uzram/worker/policy.h>

/**
 * DOC: the daemon
 *
 * One device, one daemon: one crash domain, one owner, one memory limit. The
 * daemon is two processes. The supervisor makes the device's memory, mounts the
 * front end under the run directory and keeps both; the worker opens the device
 * and serves. A worker that dies is replaced by one that takes over what it
 * had. The daemon tells its starter when it is ready, and ends when the mount
 * ends or a signal asks for it.
 *
 * A device NAME lives at RUNDIR/NAME: /run/uzram/NAME for root and
 * $XDG_RUNTIME_DIR/uzram/NAME otherwise.
 */

/**
 * enum uz_seccomp - the filter of the worker's system calls
 * @UZ_SECCOMP_AUTO: if this build and this kernel have it
 * @UZ_SECCOMP_ON:   serve with it or not at all
 * @UZ_SECCOMP_OFF:  without
 */
enum uz_seccomp {
	UZ_SECCOMP_AUTO,
	UZ_SECCOMP_ON,
	UZ_SECCOMP_OFF,
};

/**
 * enum uz_awake_when - CPUs that do not halt while the device is in use
 * @UZ_AWAKE_AUTO: if the system swaps to it and they would (uz_awake_halts())
 * @UZ_AWAKE_ON:   always
 * @UZ_AWAKE_OFF:  never
 */
enum uz_awake_when {
	UZ_AWAKE_AUTO,
	UZ_AWAKE_ON,
	UZ_AWAKE_OFF,
};

/**
 * struct uz_daemon_codec - a codec that a device is to have
 * @text: as uz_codec_parse() takes it, without a dictionary; "": none
 * @dict: path of a file with its dictionary; "": without one
 */
struct uz_daemon_codec {
	char text[UZ_CODEC_TEXT_MAX + 1];
	char dict[4096];
};

/**
 * struct uz_daemon_config - how a device is to be served
 * @name:          device name
 * @dir:           directory to mount on; "": RUNDIR/NAME, made if missing
 * @size:          disksize in bytes; 0: none yet
 * @codecs:        by priority: the first is for new stores, or none for the
 *                 default, the others for recompression
 * @mem_limit:     bytes; 0: none
 * @zpool:         allocator, one of uz_pool_backend(); "": the default
 * @threads:       threads that serve requests; 0: chosen from the CPUs
 * @workers:       page workers; UZ_WORKERS_AUTO: chosen from the CPUs
 * @frontend:      "fuse", "ublk" or "auto"
 * @compaction:    have a thread compact the pool whenever it is worth while
 * @swap:          protect the processes: the system swaps to the device
 * @awake:         whether CPUs are kept from halting while it is in use
 * @reserve:       bytes ready for stores; UZ_RESERVE_AUTO: with @swap, see
 *                 struct uz_device_mem; none without
 * @seccomp:       whether the worker's system calls are filtered
 * @track_age:     note when each page is used, for the attribute idle
 * @watchdog:      seconds after which a worker that hangs is replaced; 0: never
 * @transport:     see enum uz_transport
 * @buffer_budget: bytes, see struct uz_frontend_config; 0: chosen from the
 *                 memory
 * @backing:       path of the backing store; "": none
 * @policy:        as uz_policy_check() takes it; "": off
 * @cgroup:        the cgroup to be in, see uz_cgroup_join(); "": that of the
 *                 starter
 * @restore:       path of an image that the device begins with; "": none
 * @version:       of this program, for people; stays valid
 * @argv:          its command line, ended by NULL, for workers that are another
 *                 program; stays valid
 * @ready_fd:      -1, or a descriptor that gets "READY\n" when the device
 *                 serves, or one line of error text; closed afterwards
 */
struct uz_daemon_config {
	char name[UZ_NAME_MAX + 1];
	char dir[4096];
	uint64_t size;
	struct uz_daemon_codec codecs[UZ_PRIORITIES];
	uint64_t mem_limit;
	char zpool[UZ_POOL_NAME_MAX + 1];
	unsigned int threads;
	unsigned int workers;
	char frontend[16];
	bool compaction;
	bool swap;
	enum uz_awake_when awake;
	uint64_t reserve;
	enum uz_seccomp seccomp;
	bool track_age;
	unsigned int watchdog;
	enum uz_transport transport;
	uint64_t buffer_budget;
	char backing[UZ_BACKING_PATH_MAX + 1];
	char policy[UZ_POLICY_TEXT_MAX + 1];
	char cgroup[4096];
	char restore[4096];
	const char *version;
	char *const *argv;
	int ready_fd;
};

#define UZ_WORKERS_AUTO (~0u)

/**
 * uz_daemon_config_init() - all defaults
 * @config: filled
 *
 * Context: any thread.
 */
void uz_daemon_config_init(struct uz_daemon_config *config);

/**
 * uz_daemon_config_set() - one KEY=VALUE
 * @config: changed on success only
 * @key:    "size" (also "zram-size"), "codec" (also "algorithm",
 *          "compression-algorithm"), "mem_limit" (also
 *          "zram-resident-limit"), "zpool", "threads", "workers", "frontend",
 *          "compaction", "swap", "awake", "reserve", "seccomp", "track_age",
 *          "watchdog", "transport", "buffer_budget", "backing_dev" (also
 *          "backing", "writeback-device"), "policy", "cgroup", "dir",
 *          "restore"
 * @value:  its text
 * @err:    the reason; may be NULL
 *
 * Context: any thread.
 * Return:  0; -EINVAL unknown key or bad value; -ERANGE out of range;
 *          -ENOTSUP a zpool, or seccomp, that this build has not.
 */
uz_must_check int uz_daemon_config_set(struct uz_daemon_config *config,
				       const char *key, const char *value,
				       struct uz_err *err);

/**
 * uz_daemon_check_name() - is this a device name?
 * @name: any text
 * @err:  the reason; may be NULL
 *
 * Context: any thread.
 * Return:  0 or -EINVAL.
 */
uz_must_check int uz_daemon_check_name(const char *name, struct uz_err *err);

/**
 * uz_daemon_can_filter() - can this build filter a worker's system calls?
 *
 * Context: any thread.
 * Return:  true if it was made with libseccomp; the kernel may still refuse.
 */
bool uz_daemon_can_filter(void);

/**
 * uz_daemon_rundir() - the directory that holds this user's devices
 * @path: filled
 * @size: bytes at @path
 *
 * UZRAM_RUNDIR in the environment overrides it (for tests).
 *
 * Context: any thread; reads the environment.
 * Return:  0; -ENOENT no run directory for this user (XDG_RUNTIME_DIR is not
 *          set); -ENAMETOOLONG.
 */
uz_must_check int uz_daemon_rundir(char *path, size_t size);

/**
 * uz_daemon_run() - serve a device until it is unmounted or a signal ends it
 * @config: what to serve
 * @err:    the reason of a failure; whoever waits at @config->ready_fd was told
 *          it, or else the log
 *
 * The calling process becomes the supervisor. SIGTERM and SIGINT unmount, and
 * so does a terminal that is closed. When the device is in use they detach the
 * mount and say who uses it; service goes on until the last user is gone. A
 * SIGHUP of another process has the program that is installed now take over.
 *
 * Context: the main thread, before any other thread exists; makes processes.
 * Return:  0 after an orderly end; -EBUSY the name is taken or the directory
 *          is not empty; -EIO workers died again and again; other -errno. After
 *          a failure nothing stays mounted, and who used it gets errors.
 */
uz_must_check int uz_daemon_run(const struct uz_daemon_config *config,
				struct uz_err *err);

/**
 * uz_daemon_handed_over() - has a service manager kept a device for us?
 *
 * Context: before uz_daemon_run(), which takes it.
 * Return:  true if it hands over anything.
 */
bool uz_daemon_handed_over(void);

/**
 * uz_daemon_work() - be the worker of a supervisor that is another program
 * @config: as that supervisor's command line says
 * @fd:     what it handed over
 * @err:    the reason of a failure
 *
 * Context: the main thread, before any other thread exists; does not return
 *          once it begins to serve.
 * Return:  -EINVAL @fd is nothing of that kind; -ENOTSUP another version, or a
 *          front end that this build has not; other -errno. Nothing was
 *          touched.
 */
int uz_daemon_work(const struct uz_daemon_config *config, int fd,
		   struct uz_err *err);

#endif
