// SPDX-License-Identifier: MIT
/*
 * What a device does unasked: the decision, and nothing else. It sees numbers
 * and says what to do next; clocks, devices and threads are elsewhere
 * (policy_thread.c), so each rule can be tried with numbers that are made up.
 *
 * A round begins with marking idle pages by age. Then, when the CPUs have time,
 * idle and incompressible pages are recompressed, which takes the marks of
 * those that were tried. So what still has a mark when the limit nears was
 * recompressed in a round before, or could not be made smaller: it has stayed
 * idle, and is written back.
 *
 * No round begins before something can have come of it: rounds are a quarter
 * of the idle age apart, and there is none once all pages are known to have
 * been idle in the last one.
 */
#include "policy_priv.h"

/* Parts of the idle age between rounds; chosen, not measured. */
#define ROUNDS 4

static uint64_t round_seconds(uint64_t idle)
{
	return idle < ROUNDS ? 1 : idle / ROUNDS;
}

/* The last round has seen every page older than the idle age. */
static bool all_marked(const struct uz__policy_view *v,
		       const struct uz__policy_past *p)
{
	return p->marked && p->marked_at > p->changed_at + v->idle;
}

static bool mark_is_due(const struct uz__policy_view *v,
			const struct uz__policy_past *p)
{
	if (!p->marked)
		return v->now > p->began + v->idle;
	return !all_marked(v, p) &&
	       v->now >= p->marked_at + round_seconds(v->idle);
}

/* In this order of factors: no product of bytes can overflow. */
static bool limit_is_near(const struct uz__policy_view *v)
{
	return v->limit && v->used / 100 >= v->limit / 10000 * v->near;
}

struct uz__policy_step uz__policy_decide(const struct uz__policy_view *v,
					 const struct uz__policy_past *p)
{
	const bool busy = v->busy > v->busy_max;

	if (!v->on)
		return (struct uz__policy_step){ UZ__POLICY_END, "off" };
	if (!v->stored)
		return (struct uz__policy_step){ UZ__POLICY_REST, "empty" };
	if (p->recompress && v->codec && !busy)
		return (struct uz__policy_step){ UZ__POLICY_RECOMPRESS,
						 "working" };
	if (p->writeback && v->store && limit_is_near(v))
		return (struct uz__policy_step){ UZ__POLICY_WRITEBACK,
						 "working" };
	/* After these: rounds may be shorter than what they begin. */
	if (mark_is_due(v, p))
		return (struct uz__policy_step){ UZ__POLICY_MARK, "working" };
	if (p->recompress)
		return (struct uz__policy_step){ UZ__POLICY_REST,
						 v->codec ? "cpu_busy"
							  : "no_codec" };
	return (struct uz__policy_step){ UZ__POLICY_REST, all_marked(v, p)
								  ? "unchanged"
								  : "young" };
}

void uz__policy_begin(struct uz__policy_past *p, uint64_t now)
{
	*p = (struct uz__policy_past){ .began = now, .changed_at = now };
}

void uz__policy_see(struct uz__policy_past *p, const struct uz__policy_view *v)
{
	if (v->requests != p->requests)
		p->changed_at = v->now;
	p->requests = v->requests;
}

void uz__policy_did(struct uz__policy_past *p, enum uz__policy_action action,
		    uint64_t now, uint64_t tried)
{
	switch (action) {
	case UZ__POLICY_MARK:
		p->marked = p->recompress = p->writeback = true;
		p->marked_at = now;
		break;
	case UZ__POLICY_RECOMPRESS:
		p->recompress = false;
		/* They have lost their marks. */
		if (tried)
			p->changed_at = now;
		break;
	case UZ__POLICY_WRITEBACK:
		p->writeback = false;
		break;
	case UZ__POLICY_REST:
	case UZ__POLICY_END:
		break;
	}
}

uint64_t uz__policy_pause(uint64_t cpu_ns, uint64_t wall_ns, unsigned int share)
{
	uint64_t least = cpu_ns / share * 100;

	return least > wall_ns ? least - wall_ns : 0;
}
