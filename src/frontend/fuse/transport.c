// SPDX-License-Identifier: MIT
/*
 * Which transport: io_uring where the kernel offers it and a ring can be had,
 * else threads on /dev/fuse. What was demanded is not replaced by the other.
 *
 * FUSE_INIT is answered here, since the answer says which it is to be; after
 * it, only registering can still fail. Beside io_uring one thread stays on
 * /dev/fuse: forgets and interrupts arrive there. A worker that takes over from
 * one that died finds all that decided.
 *
 * No locks; one thread sets up and ends.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <uzram/util/delay.h>
#include <uzram/util/log.h>
#include <uzram/util/size.h>

#include "config.h"
#include "session_priv.h"

#define PARAMETER "/sys/module/fuse/parameters/enable_uring"

/*
 * More threads than were asked for, so that there is always one for the block
 * file: recompress and writeback take long, one of each at a time, and another
 * store may wait for a close that one more thread has to be told of. Over
 * io_uring there are clerks for that.
 */
#define SPARE_THREADS UZ__FUSE_CLERKS

int uz__fuse_transport_create(struct uz__fuse_transport *t,
			      struct uz__fuse *fuse,
			      const struct uz_frontend_config *config)
{
	*t = (struct uz__fuse_transport){
		.fuse = fuse,
		.wanted = config->transport,
		.budget = config->buffer_budget,
		/* The disk has threads of its own. */
		.threads = config->disk ? 1 : config->threads,
	};
	return uz__fuse_dev_create(&t->dev, fuse, t->threads + SPARE_THREADS);
}

/* The kernel has not offered it: what to do depends on why. */
static int not_offered(struct uz_err *err)
{
	if (access(PARAMETER, F_OK))
		return uz_err_set(err, -ENOTSUP,
				  "io_uring: this kernel has it not for FUSE "
				  "(Linux 6.14, FUSE_IO_URING); use -o "
				  "transport=fuse");
	return uz_err_set(err, -ENOTSUP,
			  "io_uring: it is off for FUSE; turn it on as root, "
			  "echo Y >" PARAMETER ", or use -o transport=fuse");
}

static int too_little(const struct uz__fuse_transport *t,
		      const struct uz__fuse_plan *least, struct uz_err *err)
{
	char budget[UZ_SIZE_TEXT];

	uz_size_format(t->budget, budget);
	return uz_err_set(err, -ENOTSUP,
			  "io_uring: %u CPUs need buffers of %llu KiB, more "
			  "than buffer_budget %s; raise it, or use -o "
			  "transport=fuse",
			  least->queues, (unsigned long long)least->bytes >> 10,
			  budget);
}

/* All that io_uring needs, or why not. */
static int make_uring(struct uz__fuse_transport *t, struct uz_err *err)
{
	struct uz__fuse_plan plan;
	int cpus, ret;

	if (!UZ_HAVE_URING)
		return uz_err_set(err, -ENOTSUP,
				  "io_uring is not in this build; use -o "
				  "transport=fuse");
	if (!(t->fuse->proto.offered & FUSE_OVER_IO_URING))
		return not_offered(err);
	cpus = uz__fuse_cpus_possible();
	if (cpus < 0)
		return uz_err_set(err, cpus,
				  "io_uring: cannot tell the CPUs of this "
				  "machine: %s; use -o transport=fuse",
				  strerror(-cpus));
	if (uz__fuse_plan(&plan, (unsigned int)cpus, t->budget))
		return too_little(t, &plan, err);
	ret = uz__fuse_area_create(&t->area, t->fuse->session_mem,
				   UZ__FUSE_SESSION_SIZE, &plan);
	if (!ret)
		ret = uz__fuse_uring_create(&t->uring, t->fuse, &t->area,
					    t->threads, t->dev_fd);
	if (ret == -EPERM || ret == -ENOSYS)
		return uz_err_set(err, -EPERM,
				  "io_uring: %s; allow it (sysctl "
				  "kernel.io_uring_disabled=0, the container's "
				  "seccomp filter), or use -o transport=fuse",
				  strerror(-ret));
	if (ret)
		return uz_err_set(err, ret,
				  "io_uring: cannot be set up: %s; use -o "
				  "transport=fuse",
				  strerror(-ret));
	t->plan = plan;
	uz__fuse_init_uring(uz__fuse_dev_call(t->dev), plan.payload);
	return 0;
}

static void tell(const struct uz__fuse_transport *t)
{
	const struct uz__fuse_plan *plan = &t->plan;
	uint64_t threads = t->threads + SPARE_THREADS;

	if (t->uring) {
		uz_log(UZ_LOG_INFO,
		       "transport io_uring: %u queues of %u buffers of %u KiB",
		       plan->queues, plan->depth, plan->payload >> 10);
		uz_attr_set_transport(t->fuse->attrs, "io_uring", plan->bytes,
				      "yes");
		return;
	}
	if (t->fuse->disk) {
		uz_attr_set_transport(t->fuse->attrs, "ublk",
				      t->fuse->disk->buffer_bytes,
				      t->fuse->disk->survives);
		return;
	}
	uz_log(UZ_LOG_INFO, "transport fuse: %u threads",
	       (unsigned int)threads);
	uz_attr_set_transport(t->fuse->attrs, "fuse",
			      threads * uz__fuse_dev_bytes(t->fuse),
			      uz__fuse_resends(t->fuse) ? "yes" : "queued");
}

static int start_classic(struct uz__fuse_transport *t, struct uz_err *err)
{
	return uz__fuse_dev_run(t->dev, t->threads + SPARE_THREADS, err);
}

/* The kernel knows that we want it. */
static int start_uring(struct uz__fuse_transport *t, struct uz_err *err)
{
	static const char why[] = "io_uring: the kernel did not take the "
				  "buffers; use -o transport=fuse";
	int ret = uz__fuse_dev_run(t->dev, 1, err);

	if (ret)
		return ret;
	ret = uz__fuse_uring_go(t->uring);
	if (!ret)
		return 0;
	/* What could not be taken over now, another worker may. */
	if (t->area.adopted)
		return uz_err_set(err, ret,
				  "io_uring: the threads cannot be told to "
				  "begin");
	uz__fuse_area_drop(&t->area);
	uz__fuse_uring_destroy(t->uring);
	t->uring = NULL;
	if (ret != -EAGAIN)
		return uz_err_set(err, ret, "%s", why);
	tell(t);
	ret = start_classic(t, err);
	/* It is served, so that it can be unmounted. */
	if (!ret && t->wanted == UZ_TRANSPORT_IO_URING)
		return uz_err_set(err, -ENOTSUP, "%s", why);
	if (!ret)
		uz_log(UZ_LOG_NOTICE, "%s", why);
	return ret;
}

static int greet(struct uz__fuse_transport *t, int fd, struct uz_err *err)
{
	struct uz_err why = { 0 };
	int ret = uz__fuse_dev_greet(t->dev, fd, err);

	if (ret)
		return ret;
	t->dev_fd = fd;
	if (t->wanted != UZ_TRANSPORT_FUSE)
		ret = make_uring(t, &why);
	if (ret && t->wanted == UZ_TRANSPORT_IO_URING) {
		uz__fuse_dev_refuse(t->dev);
		return uz_err_set(err, ret, "%s", why.text);
	}
	/* Where it was not offered there is nothing to wonder about. */
	if (ret && (t->fuse->proto.offered & FUSE_OVER_IO_URING))
		uz_log(UZ_LOG_NOTICE, "%s", why.text);
	tell(t);
	uz__fuse_dev_accept(t->dev);
	ret = t->uring ? start_uring(t, err) : start_classic(t, err);
	uz_delay(UZ_DELAY_GREETED);
	if (!ret)
		uz__fuse_session_keep(t->fuse,
				      t->uring ? UZ_TRANSPORT_IO_URING
					       : UZ_TRANSPORT_FUSE,
				      t->uring ? &t->plan : NULL);
	return ret;
}

/* The buffers, with all that is in them. */
static int adopt_uring(struct uz__fuse_transport *t, struct uz_err *err)
{
	int ret = uz__fuse_area_adopt(&t->area, t->fuse->session_mem,
				      UZ__FUSE_SESSION_SIZE);

	if (!ret)
		ret = uz__fuse_uring_create(&t->uring, t->fuse, &t->area,
					    t->threads, t->dev_fd);
	if (ret)
		return uz_err_set(err, ret,
				  "io_uring: requests cannot be taken over "
				  "from a worker that died: %s",
				  strerror(-ret));
	t->plan = t->area.plan;
	return 0;
}

/* The kernel knows nothing of the change, and is not asked anything. */
static int take_over(struct uz__fuse_transport *t, int fd, struct uz_err *err)
{
	int ret;

	t->dev_fd = fd;
	ret = uz__fuse_dev_adopt(t->dev, fd, err);
	if (!ret && t->fuse->session->transport == UZ_TRANSPORT_IO_URING)
		ret = adopt_uring(t, err);
	if (ret)
		return ret;
	tell(t);
	return t->uring ? start_uring(t, err) : start_classic(t, err);
}

int uz__fuse_transport_start(struct uz__fuse_transport *t, int fd,
			     struct uz_err *err)
{
	return uz__fuse_session_greeted(t->fuse->session)
		       ? take_over(t, fd, err)
		       : greet(t, fd, err);
}

int uz__fuse_transport_join(struct uz__fuse_transport *t)
{
	return t->dev ? uz__fuse_dev_join(t->dev) : 0;
}

void uz__fuse_transport_leave(struct uz__fuse_transport *t)
{
	if (t->uring)
		uz__fuse_uring_leave(t->uring);
	uz__fuse_dev_leave(t->dev);
}

void uz__fuse_transport_destroy(struct uz__fuse_transport *t)
{
	if (uz__fuse_uring_destroy(t->uring))
		uz__fuse_area_end(&t->area);
	uz__fuse_dev_destroy(t->dev);
}
