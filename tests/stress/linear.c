/* SPDX-License-Identifier: MIT */
/*
 * Whether channel, mutex and semaphore are linearisable: members make a few calls at once and write down what they asked,
 * what they got, and when; then a search looks for one order of these calls that respects time and that a sequential queue,
 * lock, counter would have answered alike (Wing and Gong's algorithm with Lowe's table of positions that lead nowhere). Calls
 * that were cancelled, or whose time was over, have done nothing, and are left out.
 *
 * That the search can fail is checked on the way: histories are falsified in ways that no order explains, and must be
 * refused.
 */
#define _GNU_SOURCE
#include "crew.h"

#define MEMBERS 6u
#define CREWS STRESS_FEWER(16u)
#define ROUNDS 60u /* of each crew and object */
#define CALLS 8u   /* of each member in a round */
#define HISTORY (MEMBERS * CALLS)

_Static_assert(HISTORY <= 64, "a set of calls is a word");

enum what { SEND, TRY_SEND, RECV, TRY_RECV, LOCK, TRYLOCK, UNLOCK, ACQUIRE, TRY_ACQUIRE, RELEASE };

struct call {
	enum what what;
	unsigned member;
	uint64_t value; /* sent, received; permits */
	int rc;
	uint64_t start, end; /* positions in time, of all calls */
};

struct history {
	struct call calls[HISTORY];
	unsigned n;
};

/* --- the sequential models ----------------------------------------------------------------------------------------------- */

/* Of any of the three. All bytes count: it is compared by a hash. */
struct model {
	uint64_t capacity; /* of the queue; ROTA_UNBOUNDED */
	uint64_t count;    /* elements, permits; 1 + the member that has the lock */
	uint8_t queue[HISTORY];
};

/* Somebody may have been waiting in front, who is refused nothing but may give up. */
static bool overlapped(const struct history *h, const struct call *call)
{
	for (unsigned i = 0; i < h->n; i++) {
		const struct call *other = &h->calls[i];

		if (other->what == ACQUIRE && other->start < call->end && call->start < other->end)
			return true;
	}
	return false;
}

static bool queue_step(struct model *m, const struct call *call)
{
	if (call->what == SEND || call->what == TRY_SEND) {
		if (call->rc == -EAGAIN)
			return m->count >= m->capacity;
		if (m->count >= m->capacity)
			return false;
		m->queue[m->count++] = (uint8_t)call->value;
		return true;
	}
	if (call->rc == -EAGAIN)
		return m->count == 0;
	if (m->count == 0 || m->queue[0] != call->value)
		return false;
	memmove(m->queue, m->queue + 1, sizeof(m->queue) - 1);
	m->queue[HISTORY - 1] = 0;
	m->count--;
	return true;
}

/* Whether the call may come next; then the model is as after it. */
static bool step(const struct history *h, struct model *m, const struct call *call)
{
	switch (call->what) {
	case LOCK:
	case TRYLOCK:
		if (call->rc == -EBUSY)
			return m->count != 0;
		if (m->count != 0)
			return false;
		m->count = 1 + call->member;
		return true;
	case UNLOCK:
		if (m->count != 1 + call->member)
			return false;
		m->count = 0;
		return true;
	case ACQUIRE:
	case TRY_ACQUIRE:
		if (call->rc == -EAGAIN)
			return m->count < call->value || overlapped(h, call);
		if (m->count < call->value)
			return false;
		m->count -= call->value;
		return true;
	case RELEASE:
		m->count += call->value;
		return true;
	default:
		return queue_step(m, call);
	}
}

/* --- the search ---------------------------------------------------------------------------------------------------------- */

#define TABLE (1u << 13)

struct search {
	const struct history *history;
	uint64_t wanted; /* calls that have done something, or said why not */
	struct position {
		uint64_t done, hash;
	} table[TABLE]; /* lead nowhere; forgets when it is full */
};

static uint64_t hash(const struct model *m)
{
	const unsigned char *bytes = (const unsigned char *)m;
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < sizeof(*m); i++)
		h = (h ^ bytes[i]) * 0x100000001b3u;
	return h | 1;
}

static bool explain(struct search *s, uint64_t done, const struct model *m)
{
	const uint64_t h = hash(m);
	struct position *position = &s->table[(h ^ done * 0x9e3779b97f4a7c15u) >> 48 & (TABLE - 1)];
	uint64_t first_end = UINT64_MAX;

	if (done == s->wanted)
		return true;
	if (position->done == done && position->hash == h)
		return false;
	for (unsigned i = 0; i < s->history->n; i++) {
		if (s->wanted & ~done & (uint64_t)1 << i && s->history->calls[i].end < first_end)
			first_end = s->history->calls[i].end;
	}
	for (unsigned i = 0; i < s->history->n; i++) {
		const struct call *call = &s->history->calls[i];
		struct model next = *m;

		if (!(s->wanted & ~done & (uint64_t)1 << i) || call->start > first_end)
			continue;
		if (step(s->history, &next, call) && explain(s, done | (uint64_t)1 << i, &next))
			return true;
	}
	*position = (struct position){ done, h };
	return false;
}

static struct search search; /* one at a time */

static bool linearisable(const struct history *h, const struct model *start)
{
	memset(&search, 0, sizeof(search));
	search.history = h;
	for (unsigned i = 0; i < h->n; i++) {
		if (h->calls[i].rc != -ECANCELED && h->calls[i].rc != -ETIMEDOUT)
			search.wanted |= (uint64_t)1 << i;
	}
	return explain(&search, 0, start);
}

static void print_history(const struct history *h)
{
	static const char *const names[] = { "send",    "try_send", "recv",    "try_recv",    "lock",
					     "trylock", "unlock",   "acquire", "try_acquire", "release" };

	for (unsigned i = 0; i < h->n; i++) {
		const struct call *call = &h->calls[i];

		dprintf(expect_output_, "member %u: %s(%" PRIu64 ") = %d, from %" PRIu64 " to %" PRIu64 "\n",
			call->member, names[call->what], call->value, call->rc, call->start, call->end);
	}
}

/* --- false histories ------------------------------------------------------------------------------------------------------ */

static unsigned refused[3]; /* false histories of each object */

static bool before(const struct call *a, const struct call *b)
{
	return a->end < b->start;
}

static const struct call *sender_of(const struct history *h, uint64_t value)
{
	for (unsigned i = 0; i < h->n; i++) {
		if (h->calls[i].what <= TRY_SEND && h->calls[i].rc == 0 && h->calls[i].value == value)
			return &h->calls[i];
	}
	return NULL;
}

/* Two elements change places that were sent one after the other and received one after the other. */
static bool falsify_queue(struct history *h)
{
	for (unsigned i = 0; i < h->n; i++) {
		for (unsigned k = 0; k < h->n; k++) {
			struct call *a = &h->calls[i], *b = &h->calls[k];
			uint64_t value = a->value;

			if (a->what != RECV && a->what != TRY_RECV)
				continue;
			if ((b->what != RECV && b->what != TRY_RECV) || a->rc != 0 || b->rc != 0 || !before(a, b) ||
			    !before(sender_of(h, a->value), sender_of(h, b->value)))
				continue;
			a->value = b->value;
			b->value = value;
			return true;
		}
	}
	return false;
}

/* Somebody who was refused while another had the lock all the time says that it was let in. */
static bool falsify_lock(struct history *h)
{
	for (unsigned i = 0; i < h->n; i++) {
		for (unsigned k = 0; k < h->n; k++) {
			const struct call *lock = &h->calls[k], *unlock = lock + 1;

			if (h->calls[i].what != TRYLOCK || h->calls[i].rc != -EBUSY || lock->rc != 0 ||
			    (lock->what != LOCK && lock->what != TRYLOCK) || !before(lock, &h->calls[i]) ||
			    !before(&h->calls[i], unlock))
				continue;
			h->calls[i].rc = 0;
			return true;
		}
	}
	return false;
}

/* One who got permits says that it was more than there ever were. */
static bool falsify_count(struct history *h)
{
	for (unsigned i = 0; i < h->n; i++) {
		if (h->calls[i].what == TRY_ACQUIRE && h->calls[i].rc == 0) {
			h->calls[i].value += 100;
			return true;
		}
	}
	return false;
}

static void check(const struct history *h, const struct model *start, unsigned object)
{
	static bool (*const falsify[])(struct history * h) = { falsify_queue, falsify_lock, falsify_count };
	struct history false_one = *h;

	if (!linearisable(h, start)) {
		dprintf(expect_output_, "no order explains this (capacity %" PRIu64 ", count %" PRIu64 "):\n",
			start->capacity, start->count);
		print_history(h);
		expect(object, ==, -1);
	}
	if (falsify[object](&false_one)) {
		expect(linearisable(&false_one, start), ==, false);
		refused[object]++;
	}
}

/* --- the members ---------------------------------------------------------------------------------------------------------- */

struct shared {
	struct rota_barrier barrier;
	struct rota_channel channel;
	struct rota_mutex mutex;
	struct rota_semaphore semaphore;
	uint64_t permits;
	struct rota_atomic_u64 clock;
	struct call calls[MEMBERS][CALLS];
	unsigned made[MEMBERS];
};

static struct call *begin(struct member *member, struct shared *shared, enum what what, uint64_t value)
{
	struct call *call = &shared->calls[member->number][shared->made[member->number]++];

	*call = (struct call){ .what = what, .member = member->number, .value = value };
	stress_pause(&member->random);
	call->start = rota__fetch_add(&shared->clock, 1, SEQ_CST);
	return call;
}

static int end(struct shared *shared, struct call *call, int rc)
{
	call->rc = rc;
	call->end = rota__fetch_add(&shared->clock, 1, SEQ_CST);
	stress_moved();
	return rc;
}

static uint64_t soon(struct member *member)
{
	return rota_now() + ROTA_US(stress_below(&member->random, 200));
}

static void use_channel(struct member *member, struct shared *shared)
{
	for (unsigned i = 0; i < CALLS; i++) {
		const uint32_t dice = stress_below(&member->random, 8);
		uint64_t sent = 1 + member->number * CALLS + i, got = 0;
		const enum what what = dice < 4 ? (dice % 2 ? SEND : TRY_SEND) : (dice % 2 ? RECV : TRY_RECV);
		struct call *call = begin(member, shared, what, dice < 4 ? sent : 0);
		struct rota_channel_op op;

		if (what == TRY_SEND) {
			end(shared, call, rota_channel_try_send(&shared->channel, &sent));
		} else if (what == TRY_RECV) {
			end(shared, call, rota_channel_try_recv(&shared->channel, &got));
		} else if (dice == 1) {
			end(shared, call, rota_channel_send_until(&shared->channel, &sent, soon(member)));
		} else if (dice == 3) {
			rota_channel_send_init(&op, &shared->channel, &sent);
			end(shared, call, member_wait_maybe(member, &op.future));
		} else if (dice == 5) {
			end(shared, call, rota_channel_recv_until(&shared->channel, &got, soon(member)));
		} else {
			rota_channel_recv_init(&op, &shared->channel, &got);
			end(shared, call, member_wait_maybe(member, &op.future));
		}
		if (dice >= 4)
			call->value = got;
	}
}

/* In pairs: one that has locked unlocks next. */
static void use_mutex(struct member *member, struct shared *shared)
{
	for (unsigned i = 0; i + 1 < CALLS; i++) {
		const uint32_t dice = stress_below(&member->random, 4);
		struct call *call = begin(member, shared, dice < 2 ? TRYLOCK : LOCK, 0);
		struct rota_mutex_lock_op op;
		int rc;

		if (dice < 2) {
			rc = end(shared, call, rota_mutex_trylock(&shared->mutex));
		} else if (dice == 2) {
			rc = end(shared, call, rota_mutex_lock_until(&shared->mutex, soon(member)));
		} else {
			rota_mutex_lock_init(&op, &shared->mutex);
			rc = end(shared, call, member_wait_maybe(member, &op.future));
		}
		if (rc < 0)
			continue;
		i++;
		/* Fibers that share a worker would never find it locked: then no history could be made false. */
		if (stress_one_in(&member->random, 2))
			rota_yield();
		call = begin(member, shared, UNLOCK, 0);
		rota_mutex_unlock(&shared->mutex);
		end(shared, call, 0);
	}
}

static void use_semaphore(struct member *member, struct shared *shared)
{
	for (unsigned i = 0; i + 1 < CALLS; i++) {
		const uint64_t n = 1 + stress_below(&member->random, (uint32_t)shared->permits);
		const uint32_t dice = stress_below(&member->random, 4);
		struct call *call = begin(member, shared, dice < 2 ? TRY_ACQUIRE : ACQUIRE, n);
		struct rota_semaphore_op op;
		int rc;

		if (dice < 2) {
			rc = end(shared, call, rota_semaphore_try_acquire(&shared->semaphore, n));
		} else if (dice == 2) {
			rc = end(shared, call, rota_semaphore_acquire_until(&shared->semaphore, n, soon(member)));
		} else {
			rota_semaphore_acquire_init(&op, &shared->semaphore, n);
			rc = end(shared, call, member_wait_maybe(member, &op.future));
		}
		if (rc < 0)
			continue;
		i++;
		call = begin(member, shared, RELEASE, n);
		end(shared, call, rota_semaphore_release(&shared->semaphore, n));
	}
}

/* --- rounds ---------------------------------------------------------------------------------------------------------------- */

/* By one member, while the others wait. */
static void prepare(struct member *member, struct shared *shared, unsigned object)
{
	static const size_t capacities[] = { 1, 2, 3, ROTA_UNBOUNDED };

	memset(shared->made, 0, sizeof(shared->made));
	if (object == 0)
		expect(rota_channel_init(&shared->channel, 8, capacities[stress_below(&member->random, 4)]), ==, 0);
	shared->permits = 1 + stress_below(&member->random, 4);
	rota_semaphore_init(&shared->semaphore, shared->permits);
}

static void judge(struct shared *shared, unsigned object)
{
	struct model start;
	struct history h = { .n = 0 };

	memset(&start, 0, sizeof(start));
	for (unsigned m = 0; m < MEMBERS; m++) {
		for (unsigned i = 0; i < shared->made[m]; i++)
			h.calls[h.n++] = shared->calls[m][i];
	}
	if (object == 0)
		start.capacity = shared->channel.capacity_;
	if (object == 2)
		start.count = shared->permits;
	check(&h, &start, object);
	if (object == 0)
		rota_channel_deinit(&shared->channel);
}

static void work(struct member *member)
{
	static void (*const use[])(struct member *, struct shared *) = { use_channel, use_mutex, use_semaphore };
	struct shared *shared = member->crew->data;

	for (unsigned round = 0; round < 3 * ROUNDS; round++) {
		const unsigned object = round % 3;

		if (rota_barrier_wait(&shared->barrier) == ROTA_BARRIER_LEADER)
			prepare(member, shared, object);
		expect(rota_barrier_wait(&shared->barrier), >=, 0);
		use[object](member, shared);
		if (rota_barrier_wait(&shared->barrier) == ROTA_BARRIER_LEADER)
			judge(shared, object);
	}
}

int main(int argc, char **argv)
{
	struct stress_random random;

	stress_start(argc, argv, crew_report);
	random = stress_random_new(0);
	for (unsigned i = 0; i < CREWS * stress_scale; i++) {
		struct shared shared = { .mutex = ROTA_MUTEX_INIT };
		struct crew crew;

		crew_init(&crew, 3 + stress_below(&random, MEMBERS - 2), &random);
		expect(rota_barrier_init(&shared.barrier, crew.n), ==, 0);
		crew_work(&crew, work, &shared);
		crew_free(&crew);
	}
	printf("false histories refused: %u of channels, %u of mutexes, %u of semaphores\n", refused[0], refused[1],
	       refused[2]);
	for (int i = 0; i < 3; i++)
		expect(refused[i], >, 0);
	return 0;
}
