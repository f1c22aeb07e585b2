/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_UTIL_SUID_H
#define UZRAM_UTIL_SUID_H

#include <uzram/types.h>

/**
 * enum uz_suid - what becomes of a program that is to run as root for others
 * @UZ_SUID_WORKS:    it gets root's rights
 * @UZ_SUID_MISSING:  PATH leads to no such program
 * @UZ_SUID_PLAIN:    it is not set-user-ID
 * @UZ_SUID_STRANGER: it is, but its owner is not root: in a user namespace
 *                    that does not know the system's root, whatever is his is
 *                    nobody's
 * @UZ_SUID_NOSUID:   it lies on a file system mounted nosuid
 * @UZ_SUID_NO_NEW:   this process may gain no rights (no_new_privs)
 */
enum uz_suid {
	UZ_SUID_WORKS,
	UZ_SUID_MISSING,
	UZ_SUID_PLAIN,
	UZ_SUID_STRANGER,
	UZ_SUID_NOSUID,
	UZ_SUID_NO_NEW,
};

/**
 * uz_suid_check() - would a set-user-ID program get root's rights?
 * @program: its name, looked up in PATH
 *
 * Looks; runs nothing. Whether the rights suffice is another question.
 *
 * Context: any thread; reads the environment.
 * Return:  the first of the reasons against it, or UZ_SUID_WORKS.
 */
enum uz_suid uz_suid_check(const char *program);

/**
 * uz_suid_advice() - the same in words
 * @suid: from uz_suid_check() about fusermount3; not UZ_SUID_WORKS
 *
 * Context: any thread.
 * Return:  what is wrong with it and what to do, as the end of a sentence that
 *          "fusermount3" begins.
 */
const char *uz_suid_advice(enum uz_suid suid);

#endif
