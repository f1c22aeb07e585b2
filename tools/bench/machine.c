// SPDX-License-Identifier: MIT
/*
 * Where and of what a figure was taken: without it, a result is a number.
 *
 * Nothing here fails: what the system does not tell is "unknown".
 */
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <uzram/util/size.h>

#include "bench.h"

static void read_cpu(char *cpu, size_t size)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char line[256];

	snprintf(cpu, size, "unknown CPU");
	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		char *value = strchr(line, ':');

		/* "model name" on x86, "Model" or "Processor" elsewhere */
		if (!value || (strncmp(line, "model name", 10) != 0 &&
			       strncmp(line, "Model", 5) != 0 &&
			       strncmp(line, "Processor", 9) != 0))
			continue;
		value += 1 + strspn(value + 1, " \t");
		value[strcspn(value, "\n")] = 0;
		snprintf(cpu, size, "%s", value);
		break;
	}
	fclose(f);
}

void machine_read(struct machine *m)
{
	time_t now = time(NULL);
	struct utsname uts;
	struct tm tm;

	memset(m, 0, sizeof(*m));
	read_cpu(m->cpu, sizeof(m->cpu));
	m->cpus = (unsigned int)sysconf(_SC_NPROCESSORS_ONLN);
	m->ram = uz_size_ram();
	if (uname(&uts) == 0)
		snprintf(m->kernel, sizeof(m->kernel), "%s %s %s", uts.sysname,
			 uts.release, uts.machine);
	gmtime_r(&now, &tm);
	strftime(m->date, sizeof(m->date), "%Y-%m-%d %H:%M UTC", &tm);
	snprintf(m->commit, sizeof(m->commit), "%s", machine_commit);
}

void machine_text(const struct machine *m, char *text, size_t size)
{
	char ram[UZ_SIZE_TEXT];

	uz_size_format(m->ram, ram);
	snprintf(text, size, "%s, %u CPUs, %s of memory\n%s, %s, commit %s",
		 m->cpu, m->cpus, ram, m->kernel, m->date, m->commit);
}

json_t *machine_json(const struct machine *m)
{
	return json_pack("{s:s, s:i, s:I, s:s, s:s, s:s}", "cpu", m->cpu,
			 "cpus", (int)m->cpus, "ram_bytes", (json_int_t)m->ram,
			 "kernel", m->kernel, "date", m->date, "commit",
			 m->commit);
}

uint64_t machine_available(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	unsigned long long kib = 0;
	char line[256];

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
			break;
	fclose(f);
	return kib << 10;
}
