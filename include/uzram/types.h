/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_TYPES_H
#define UZRAM_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * DOC: words that every layer shares
 *
 * A *device* is a row of *pages* of 4 KiB, numbered from 0 by their *index*.
 * The table holds one 64-bit *slot* word per page. A slot may name an
 * *object*: the page's compressed (or raw) bytes in the pool. The place of an
 * object is its *ref*.
 *
 * Errors are 0 or a negative errno. This is the whole vocabulary:
 *
 * ========== =============================================================
 * -EINVAL    the caller's mistake: misaligned, out of range, bad value
 * -ENOSPC    the memory limit is reached, or the system has no memory, and
 *            nothing could be freed; what was stored before is intact
 * -EIO       an object does not decode or its checksum differs
 * -ENOMEM    no memory for bookkeeping (never for page data: -ENOSPC)
 * -EBUSY     the wrong state for this: in use, or already set up
 * -E2BIG     a result, not a failure: the data does not compress enough
 * -EAGAIN    the slot changed meanwhile; look again
 * -EUCLEAN   memory to adopt contradicts itself, or a check found damage
 * -ENOTSUP   this build or this system does not offer it
 * ========== =============================================================
 */

#define UZ_PAGE_SHIFT 12
#define UZ_PAGE_SIZE  (1u << UZ_PAGE_SHIFT)

/* disksize: a page ... 16 TiB, so that a page index fits 32 bits. */
#define UZ_DISKSIZE_MIN ((uint64_t)UZ_PAGE_SIZE)
#define UZ_DISKSIZE_MAX (UINT64_C(1) << 44)

/* Longest device name, without the terminating zero. */
#define UZ_NAME_MAX 31

#define uz_must_check	__attribute__((warn_unused_result))
#define uz_printf(f, a) __attribute__((format(printf, f, a)))
#define uz_unlikely(x)	__builtin_expect(!!(x), 0)
#define uz_likely(x)	__builtin_expect(!!(x), 1)

/* Memory that two threads write often must not share a line. */
#define UZ_CACHELINE 64

/**
 * typedef uz_ref_t - where an object lies in the pool
 *
 * The object's byte offset in the arena divided by UZ_REF_UNIT: 41 bits, so
 * that it fits the slot word and the arena may span 16 TiB. 0 is a valid ref.
 */
typedef uint64_t uz_ref_t;

#define UZ_REF_UNIT 8
#define UZ_REF_BITS 41

#endif
