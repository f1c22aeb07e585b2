/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_UTIL_SHM_H
#define UZRAM_UTIL_SHM_H

#include <uzram/types.h>

/**
 * DOC: memory that can outlive the process
 *
 * A memfd, mapped whole and shared. The descriptor belongs to whoever opened
 * it (a supervisor, a test); a struct uz_shm only borrows it. Pages that were
 * never written cost nothing, so a memfd may be far larger than memory.
 *
 * Where the system must not swap such memory out, a file of a tmpfs without
 * swap takes the memfd's place; all that is said of memfds holds for it.
 */

/**
 * struct uz_shm - one mapped memfd
 * @fd:    borrowed descriptor
 * @base:  where it is mapped, NULL when it is not
 * @size:  bytes that can be used
 * @room:  bytes of address space; @size can become that
 * @small: no huge pages are to be made of it
 */
struct uz_shm {
	int fd;
	void *base;
	size_t size;
	size_t room;
	bool small;
};

/* Bytes of a huge page. A mapping that is as long begins at a multiple. */
#define UZ_SHM_HUGE (UINT64_C(2) << 20)

/**
 * uz_shm_noswap() - from now on uz_shm_memfd() makes memory that is not swapped
 *
 * It stays so until its last descriptor and mapping are gone, whichever process
 * has them and whether or not one has it mapped and locked. The same holds in
 * children, not in a new program. Without effect when called again.
 *
 * Context: before the process has other threads. Takes a descriptor for good.
 * Return:  0; -EPERM no CAP_SYS_ADMIN; -ENOTSUP before Linux 6.4, or not
 *          outside of the first user namespace; other -errno. After a failure
 *          memfds are made as before.
 */
uz_must_check int uz_shm_noswap(void);

/**
 * uz_shm_memfd() - a new empty memfd, closed on exec
 * @name: shown in /proc/PID/maps
 *
 * Context: any thread.
 * Return:  the descriptor, or -errno.
 */
uz_must_check int uz_shm_memfd(const char *name);

/**
 * uz_shm_map() - map a memfd, growing it to @size if it is shorter
 * @shm:  filled on success, untouched on failure
 * @fd:   memfd, borrowed until uz_shm_unmap()
 * @size: bytes, a multiple of the page size
 *
 * Context: any thread. Reserves address space only, no memory.
 * Return:  0 or -errno.
 */
uz_must_check int uz_shm_map(struct uz_shm *shm, int fd, size_t size);

/**
 * uz_shm_map_room() - the same, with address space to grow into
 * @shm:  filled on success, untouched on failure
 * @fd:   memfd, borrowed until uz_shm_unmap()
 * @size: as for uz_shm_map()
 * @room: bytes that it may grow to, a multiple of the page size; where the
 *        system has not that much address space, it cannot grow
 *
 * Context: any thread.
 * Return:  0 or -errno.
 */
uz_must_check int uz_shm_map_room(struct uz_shm *shm, int fd, size_t size,
				  size_t room);

/**
 * uz_shm_grow() - make the memfd longer; it stays where it is mapped
 * @shm:  the mapping
 * @size: bytes that can be used from now on, a multiple of the page size. Less
 *        than there are already changes nothing
 *
 * Context: one thread at a time; others may use what was there before, but not
 *          uz_shm_next_data().
 * Return:  0; -ENOMEM beyond @room; other -errno. After a failure nothing has
 *          changed.
 */
uz_must_check int uz_shm_grow(struct uz_shm *shm, size_t size);

/**
 * uz_shm_unmap() - end the mapping; the memory lives on in the memfd
 * @shm: the mapping; one that is all zeroes or already ended is allowed
 *
 * Context: nobody may use the mapping any more.
 */
void uz_shm_unmap(struct uz_shm *shm);

/**
 * uz_shm_populate() - have these pages present and writable
 * @shm: the mapping
 * @off: byte offset, a multiple of the page size
 * @len: bytes, a multiple of the page size
 *
 * What the pages hold is kept. After success a store to them takes no fault
 * that can fail.
 *
 * Context: any thread; sleeps, takes about 2 us a page.
 * Return:  0; -ENOMEM when the system or the cgroup refuses; some of the pages
 *          may then be present.
 */
uz_must_check int uz_shm_populate(const struct uz_shm *shm, size_t off,
				  size_t len);

/**
 * uz_shm_punch() - give these pages back to the system; they read as zeroes
 * @shm: the mapping
 * @off: byte offset, a multiple of the page size
 * @len: bytes, a multiple of the page size
 *
 * Context: any thread; sleeps, takes about 10 us for 64 KiB. Nobody else
 *          populates there.
 * Return:  0; -EAGAIN the system keeps some of them for now, because they are
 *          parts of a huge page that somebody uses; other -errno. After a
 *          failure those that are left read as zeroes or as before.
 */
uz_must_check int uz_shm_punch(const struct uz_shm *shm, size_t off,
			       size_t len);

/**
 * uz_shm_page_by_page() - let memory be populated only where it is used
 * @shm:    the mapping
 * @always: whatever the system does
 *
 * Where the system makes huge pages of shared memory without being asked, one
 * byte would populate 2 MiB. There it is told to make none, and
 * uz_shm_collapse() makes none either. That is looked at now and not again.
 *
 * Context: before anybody uses the mapping; reads some files, unless @always.
 */
void uz_shm_page_by_page(struct uz_shm *shm, bool always);

/**
 * uz_shm_collapse() - make one huge page of what is mapped here
 * @shm: the mapping
 * @off: byte offset, a multiple of UZ_SHM_HUGE; so many bytes lie behind it
 *
 * Fewer translations to be looked up. What the pages hold is kept, whoever else
 * uses them meanwhile; all that were not present are populated. Once more on
 * what is a huge page already does no harm. When a part of it is punched the
 * system takes it apart.
 *
 * Context: any thread; sleeps, takes a millisecond or more, for which others
 *          that use the memory may have to wait.
 * Return:  0; -EAGAIN a page is in use by the kernel, try later; -ENOMEM there
 *          is no huge page to be had now; -ENOTSUP never here (before Linux
 *          6.1, without huge pages, or because of uz_shm_page_by_page());
 *          -EINVAL out of bounds.
 */
uz_must_check int uz_shm_collapse(const struct uz_shm *shm, size_t off);

/**
 * uz_shm_next_data() - the next run of pages that are present
 * @shm:   the mapping
 * @off:   where to begin, a multiple of the page size
 * @start: its byte offset, on success
 * @end:   the byte offset after its last page, on success
 *
 * Context: any thread; meaningful while nobody populates or punches there.
 * Return:  0; -ENXIO no page is present at or after @off; other -errno.
 */
uz_must_check int uz_shm_next_data(const struct uz_shm *shm, size_t off,
				   size_t *start, size_t *end);

/**
 * uz_shm_resident() - bytes of memory that the memfd holds
 * @shm: the mapping
 *
 * The kernel's own count (st_blocks), not ours.
 *
 * Context: any thread.
 * Return:  bytes.
 */
uint64_t uz_shm_resident(const struct uz_shm *shm);

#endif
