/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_UTIL_AHEAD_H
#define UZRAM_UTIL_AHEAD_H

#include <uzram/types.h>

/**
 * DOC: memory that is there before it is needed
 *
 * A process that memory depends on (the system swaps to it) must not wait for
 * memory itself. Once it has been told so, whoever makes memory for the path of
 * a page hands it in here, and it is populated at once, at the cost of what
 * would never have been touched. Elsewhere all of this does nothing.
 *
 * What cannot be populated is told once in the log and is as it would have
 * been without: it is populated by who comes to it first.
 */

/**
 * uz_ahead_enable() - from now on populate memory ahead, in this process
 *
 * What malloc() gives out then lies in one heap that never shrinks, so that
 * uz_ahead_program() can find it. Not inherited by a new program.
 *
 * Context: before the process has other threads.
 */
void uz_ahead_enable(void);

/**
 * uz_ahead() - is memory populated ahead in this process?
 *
 * Context: any thread; one load.
 * Return:  true after uz_ahead_enable().
 */
bool uz_ahead(void);

/**
 * uz_ahead_plenty() - is there memory that nobody has to wait for?
 * @size: bytes that are wanted
 *
 * For who populates what may be needed, but can do without just now: a thread
 * that waits for memory may hold up those by whom memory is freed. Free memory
 * is more than what the kernel keeps (vm.min_free_kbytes), by a quarter of
 * that, and than what it keeps of lower zones from everybody (/proc/zoneinfo).
 *
 * Context: any thread; two system calls.
 * Return:  true if so, or if it is not known; always true without
 *          uz_ahead_enable().
 */
bool uz_ahead_plenty(size_t size);

/**
 * uz_ahead_memory() - this is going to be needed
 * @mem:  its first byte, private and writable, or shared and on tmpfs
 * @size: bytes
 *
 * Contents stay, whoever else writes there. Nothing without uz_ahead_enable().
 *
 * Context: any thread; sleeps.
 */
void uz_ahead_memory(void *mem, size_t size);

/**
 * uz_ahead_stack() - as much of this thread's stack as a request can need
 *
 * Nothing without uz_ahead_enable().
 *
 * Context: the thread itself, before it takes requests; sleeps.
 */
void uz_ahead_stack(void);

/**
 * uz_ahead_program() - code, data and heap, as they are now
 *
 * To be called again when something was allocated that requests will use.
 * Nothing without uz_ahead_enable().
 *
 * Context: any thread; reads /proc, sleeps.
 */
void uz_ahead_program(void);

#endif
