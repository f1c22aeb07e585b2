/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_WORKER_POLICY_H
#define UZRAM_WORKER_POLICY_H

#include <uzram/device.h>
#include <uzram/types.h>
#include <uzram/util/err.h>
#include <uzram/util/strbuf.h>

/**
 * DOC: work that a device does unasked
 *
 * Off until somebody turns it on. Then a thread looks at the device once a
 * second and has pages marked as idle by their age, recompresses those and the
 * incompressible ones while the CPUs have nothing better to do, and writes
 * back what has stayed idle when the memory limit nears and there is a backing
 * store. What it may do and what it has done are numbers of the device
 * (uzram/device/policy.h), so both outlive the process.
 *
 * A setting is a text of words between blanks or commas, in any order: off,
 * auto, idle=SECONDS, share=PERCENT, near=PERCENT, busy=PERCENT. What is not
 * named stays as it is.
 */

struct uz_policy;

#define UZ_POLICY_TEXT_MAX 127

/**
 * uz_policy_check() - is this a setting?
 * @text: any
 * @err:  the reason; may be NULL
 *
 * Context: any thread.
 * Return:  0; -EINVAL no.
 */
uz_must_check int uz_policy_check(const char *text, struct uz_err *err);

/**
 * uz_policy_apply() - note a setting in the device
 * @dev:  the device
 * @text: the setting
 * @err:  the reason; may be NULL
 *
 * Somebody has to call uz_policy_follow() for it to be obeyed.
 *
 * Context: any thread.
 * Return:  as uz_policy_check(). After a failure nothing has changed.
 */
uz_must_check int uz_policy_apply(struct uz_device *dev, const char *text,
				  struct uz_err *err);

/**
 * uz_policy_format() - the device's setting, with all of its words
 * @dev: the device
 * @out: the text is appended, without a line feed
 *
 * Context: any thread.
 */
void uz_policy_format(const struct uz_device *dev, struct uz_strbuf *out);

/**
 * uz_policy_create() - be ready for work unasked
 * @policy: set on success, untouched on failure
 * @dev:    borrowed until uz_policy_destroy()
 *
 * Context: any thread.
 * Return:  0 or -ENOMEM.
 */
uz_must_check int uz_policy_create(struct uz_policy **policy,
				   struct uz_device *dev);

/**
 * uz_policy_destroy() - end it
 * @policy: from uz_policy_create(), or NULL
 *
 * Context: nobody else uses it any more; waits for the end of a batch.
 */
void uz_policy_destroy(struct uz_policy *policy);

/**
 * uz_policy_follow() - do as the device's setting says from now on
 * @policy: the policy
 * @err:    the reason; may be NULL
 *
 * When it is on there is a thread afterwards, which takes no signals and has
 * the tracking of ages turned on; when it is off there is none. A reset of the
 * device turns it off, and the thread ends within a second.
 *
 * Context: one thread at a time, which holds no lock of the device; may wait
 *          for the end of a batch.
 * Return:  0; -ENOMEM; -errno no thread. After a failure there is none.
 */
uz_must_check int uz_policy_follow(struct uz_policy *policy,
				   struct uz_err *err);

/**
 * uz_policy_rests() - what it waits for
 * @policy: the policy
 *
 * Context: any thread.
 * Return:  one word: "off"; "working"; "empty" nothing is stored; "young" no
 *          page may have become old enough; "unchanged" all was done and
 *          nobody used the device since; "cpu_busy" others want the CPUs;
 *          "no_codec" there is no secondary codec; "share" its share of time
 *          is used up.
 */
const char *uz_policy_rests(struct uz_policy *policy);

#endif
