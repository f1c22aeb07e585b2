/* SPDX-License-Identifier: MIT */
#ifndef COPYING_POOL_H
#define COPYING_POOL_H

/*
 * Linked with this, the default pool says that it is neither linear nor may
 * be slept upon, and ends the program when somebody does not respect that:
 * two maps in one thread, or anything but a view while a map is held.
 *
 * The hooks are called once each, when no map is held any more or when one was
 * just taken; a hook that is called is removed before.
 */
struct copying_hooks {
	void (*mapped)(void *arg);
	void (*unmapped)(void *arg);
	void *arg;
};

extern _Thread_local struct copying_hooks copying_hooks;

#endif
