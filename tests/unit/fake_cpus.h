/* SPDX-License-Identifier: MIT */
#ifndef FAKE_CPUS_H
#define FAKE_CPUS_H

/*
 * The machine has as many CPUs as the test wants: CPUS, defined before this.
 * sched_getaffinity() is replaced by the linker (--wrap). For one file of a
 * program.
 */
#include <sched.h>
#include <string.h>

int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set);
int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
	int cpu;

	(void)pid;
	memset(set, 0, size);
	for (cpu = 0; cpu < CPUS; cpu++)
		CPU_SET(cpu, set);
	return 0;
}

#endif
