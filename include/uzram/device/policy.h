/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_DEVICE_POLICY_H
#define UZRAM_DEVICE_POLICY_H

#include <uzram/types.h>

/**
 * DOC: numbers of the policy
 *
 * A part of uzram/device.h. What the work that a device does unasked
 * (uzram/worker/policy.h) is to keep from one process to the next. The device
 * keeps these numbers and makes nothing of them.
 */

struct uz_device;

/**
 * enum uz_policy_number - which number
 * @UZ_POLICY_ON:           1: there is to be work unasked
 * @UZ_POLICY_IDLE:         seconds; 0: the default
 * @UZ_POLICY_SHARE:        percent; 0: the default
 * @UZ_POLICY_NEAR:         percent; 0: the default
 * @UZ_POLICY_BUSY:         percent; 0: the default
 * @UZ_POLICY_MARKED:       pages that were marked as idle
 * @UZ_POLICY_RECOMPRESSED: pages that were made smaller
 * @UZ_POLICY_SAVED:        bytes that these take less
 * @UZ_POLICY_WRITTEN:      pages that were written back
 * @UZ_POLICY_CPU_NS:       nanoseconds of CPU that all of it took
 * @UZ_POLICY_NUMBERS:      how many there are
 *
 * They outlive the process, and are 0 in a new device and after a reset.
 */
enum uz_policy_number {
	UZ_POLICY_ON,
	UZ_POLICY_IDLE,
	UZ_POLICY_SHARE,
	UZ_POLICY_NEAR,
	UZ_POLICY_BUSY,
	UZ_POLICY_MARKED,
	UZ_POLICY_RECOMPRESSED,
	UZ_POLICY_SAVED,
	UZ_POLICY_WRITTEN,
	UZ_POLICY_CPU_NS,
	UZ_POLICY_NUMBERS,
};

/**
 * uz_device_policy() - read one of them
 * @dev:   the device
 * @which: the number
 *
 * Context: any thread.
 * Return:  its value.
 */
uint64_t uz_device_policy(const struct uz_device *dev,
			  enum uz_policy_number which);

/**
 * uz_device_set_policy() - change one of them
 * @dev:   the device
 * @which: the number
 * @value: any
 *
 * Context: any thread, at any time.
 */
void uz_device_set_policy(struct uz_device *dev, enum uz_policy_number which,
			  uint64_t value);

/**
 * uz_device_add_policy() - count one of them up
 * @dev:   the device
 * @which: the number
 * @value: what to add
 *
 * Context: any thread, at any time.
 */
void uz_device_add_policy(struct uz_device *dev, enum uz_policy_number which,
			  uint64_t value);

#endif
