/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_DEVICE_PULSES_H
#define UZRAM_DEVICE_PULSES_H

#include <uzram/util/awake.h>
#include <uzram/util/pulse.h>

struct uz_device;

/**
 * uz_device_set_pulses() - have somebody watch the threads
 * @dev:    the device; no thread has a struct uz_io of it yet
 * @pulses: UZ_IO_MAX of them, which outlive the device; each thread's is what
 *          it says of itself in uz_device_submit(), and when it helps with a
 *          large request of another one
 *
 * A page is a step. Who waits for page workers, for the backing store or for
 * room waits. Who is not let in because of a reset does not work.
 *
 * Context: before uz_io_create(); no other thread.
 */
void uz_device_set_pulses(struct uz_device *dev, struct uz_pulse *pulses);

/**
 * uz_device_set_awake() - have CPUs not halt while the device is in use
 * @dev:   the device; no thread has a struct uz_io of it yet
 * @awake: used by each uz_device_submit(), outlives the device; or NULL
 *
 * Context: before uz_io_create(); no other thread.
 */
void uz_device_set_awake(struct uz_device *dev, struct uz_awake *awake);

#endif
