/* SPDX-License-Identifier: MIT */
#include "wheel_internal.h"

#include "spin_internal.h"

#define LEVEL_BITS 6 /* a slot of a level is so many bits of ticks longer than one of the level below */
#define SLOT_MASK (ROTA__WHEEL_SLOTS - 1u)
#define DUE (ROTA__WHEEL_LEVELS * ROTA__WHEEL_SLOTS) /* slot_ of a timer in the list of due ones */
#define MAX_TICKS (((uint64_t)1 << (LEVEL_BITS * ROTA__WHEEL_LEVELS)) - 1)
#define AHEAD 128u  /* timers that a look moves down from each level before their slot begins */
#define CLAIMED 64u /* timers that are fired before their tasks are submitted */

static uint64_t tick_at_or_after(uint64_t ns)
{
	const uint64_t tick = (uint64_t)1 << ROTA__WHEEL_TICK_SHIFT;

	return ns > UINT64_MAX - tick ? UINT64_MAX >> ROTA__WHEEL_TICK_SHIFT : (ns + tick - 1) >> ROTA__WHEEL_TICK_SHIFT;
}

/* How many slots of a level `when` is ahead. */
static uint64_t slots_ahead(const struct rota__wheel *wheel, uint64_t when, unsigned level)
{
	return (when >> (level * LEVEL_BITS)) - (wheel->elapsed >> (level * LEVEL_BITS));
}

/* The finest level that reaches to `when`. */
static unsigned level_for(const struct rota__wheel *wheel, uint64_t when)
{
	unsigned level = (63u - (unsigned)__builtin_clzll((when - wheel->elapsed) | 1)) / LEVEL_BITS;

	return level > 0 && slots_ahead(wheel, when, level - 1) < ROTA__WHEEL_SLOTS ? level - 1 : level;
}

static void list_append(struct rota_timer **list, struct rota_timer *timer)
{
	if (*list == NULL) {
		timer->next_ = timer->prev_ = timer;
		*list = timer;
		return;
	}
	timer->next_ = *list;
	timer->prev_ = (*list)->prev_;
	timer->prev_->next_ = timer;
	(*list)->prev_ = timer;
}

static void list_remove(struct rota_timer **list, struct rota_timer *timer)
{
	if (timer->next_ == timer) {
		*list = NULL;
		return;
	}
	timer->prev_->next_ = timer->next_;
	timer->next_->prev_ = timer->prev_;
	if (*list == timer)
		*list = timer->next_;
}

static void link_last(struct rota__wheel *wheel, struct rota_timer *timer, unsigned level, unsigned index)
{
	timer->slot_ = level * ROTA__WHEEL_SLOTS + index;
	list_append(&wheel->slot[level][index], timer);
	wheel->occupied[level][index / 64] |= (uint64_t)1 << index % 64;
}

static void unlink_timer(struct rota__wheel *wheel, struct rota_timer *timer)
{
	unsigned level = timer->slot_ / ROTA__WHEEL_SLOTS;
	unsigned index = timer->slot_ % ROTA__WHEEL_SLOTS;

	if (timer->slot_ == DUE) {
		list_remove(&wheel->due, timer);
		return;
	}
	list_remove(&wheel->slot[level][index], timer);
	if (wheel->slot[level][index] == NULL)
		wheel->occupied[level][index / 64] &= ~((uint64_t)1 << index % 64);
}

/* The ns at which a tick begins. */
static uint64_t tick_start(uint64_t tick)
{
	return tick < ROTA_NEVER >> ROTA__WHEEL_TICK_SHIFT ? tick << ROTA__WHEEL_TICK_SHIFT : ROTA_NEVER;
}

/* Returns the tick at which the wheel must be looked at for it. */
static uint64_t file(struct rota__wheel *wheel, struct rota_timer *timer)
{
	uint64_t when = tick_at_or_after(timer->deadline_);

	if (when <= wheel->elapsed)
		when = wheel->elapsed + 1; /* due: the next look finds it */
	if (when - wheel->elapsed > MAX_TICKS)
		when = wheel->elapsed + MAX_TICKS;
	unsigned level = level_for(wheel, when);
	unsigned shift = level * LEVEL_BITS;

	link_last(wheel, timer, level, (unsigned)(when >> shift) & SLOT_MASK);
	/* It is two slots ahead at least, save at the finest level: else a finer one would reach it. */
	return ((when >> shift) - (level > 0)) << shift;
}

/* How many slots the first one that is occupied lies behind `here`, which is empty itself; 0: there is none. */
static unsigned distance_to_occupied(const uint64_t occupied[2], unsigned here)
{
	const unsigned turn = (here + 1) & SLOT_MASK, bit = turn % 64;
	const uint64_t near = occupied[turn / 64], far = occupied[1 - turn / 64];

	if (near >> bit != 0)
		return (unsigned)__builtin_ctzll(near >> bit) + 1;
	if (far != 0)
		return 64 - bit + (unsigned)__builtin_ctzll(far) + 1;
	return near != 0 ? 128 - bit + (unsigned)__builtin_ctzll(near) + 1 : 0;
}

/* The tick at which the next slot begins that must be emptied; UINT64_MAX: the wheel is empty. With `ahead`: at which
 * the wheel must be looked at for it, which is one slot before, but for the finest level. */
static inline uint64_t next_slot(const struct rota__wheel *wheel, bool ahead)
{
	uint64_t next = UINT64_MAX;

	for (unsigned level = 0; level < ROTA__WHEEL_LEVELS; level++) {
		const unsigned shift = level * LEVEL_BITS;
		const uint64_t here = wheel->elapsed >> shift;
		const unsigned distance = distance_to_occupied(wheel->occupied[level], (unsigned)here & SLOT_MASK);
		const uint64_t slot = here + distance - (ahead && level > 0);

		if (distance > 0 && slot << shift < next)
			next = slot << shift;
	}
	/* More of the next slot is to be moved than one look does. */
	return next <= wheel->elapsed ? wheel->elapsed + 1 : next;
}

static void refresh_next(struct rota__wheel *wheel)
{
	rota__store(&wheel->next, tick_start(next_slot(wheel, true)), RELAXED);
}

void rota__wheel_init(struct rota__wheel *wheel, uint64_t now)
{
	*wheel = (struct rota__wheel){ .elapsed = now >> ROTA__WHEEL_TICK_SHIFT };
	rota__store(&wheel->next, ROTA_NEVER, RELAXED);
}

rota_poll rota__wheel_poll(struct rota__wheel *wheel, struct rota_timer *timer, const struct rota_waker *waker,
			   bool *ret_earlier)
{
	rota_poll ready = ROTA_PENDING;
	bool earlier = false;
	uint64_t start;

	rota__spin_lock(&wheel->lock);
	switch (rota__load(&timer->state_, RELAXED)) {
	case ROTA__TIMER_IDLE:
		start = tick_start(file(wheel, timer));
		rota__waker_hold(&timer->waker_, waker);
		rota__store(&timer->state_, ROTA__TIMER_QUEUED, RELAXED);
		earlier = start < rota__wheel_next(wheel);
		if (earlier)
			rota__store(&wheel->next, start, RELAXED);
		break;
	case ROTA__TIMER_QUEUED:
		if (!rota_waker_same(&timer->waker_, waker)) {
			rota__waker_release(&timer->waker_);
			rota__waker_hold(&timer->waker_, waker);
		}
		break;
	default:
		ready = ROTA_READY;
	}
	rota__spin_unlock(&wheel->lock);
	if (ret_earlier != NULL)
		*ret_earlier = earlier;
	return ready;
}

bool rota__wheel_cancel(struct rota__wheel *wheel, struct rota_timer *timer)
{
	bool queued;

	rota__spin_lock(&wheel->lock);
	queued = rota__load(&timer->state_, RELAXED) == ROTA__TIMER_QUEUED;
	if (queued) {
		unlink_timer(wheel, timer);
		rota__store(&timer->state_, ROTA__TIMER_CANCELLED, RELAXED);
		rota__waker_release(&timer->waker_);
		/* `next` may now be too early: that costs one look, and saves one here. */
	}
	rota__spin_unlock(&wheel->lock);
	return queued;
}

/* Takes everything out of a slot whose time has come: to the due ones, or to a finer level (`elapsed` is the slot's
 * start, so nothing goes back into the slot). */
static void empty_slot(struct rota__wheel *wheel, uint64_t now_tick, unsigned level)
{
	struct rota_timer **slot = &wheel->slot[level][wheel->elapsed >> (level * LEVEL_BITS) & SLOT_MASK];
	struct rota_timer *timer;

	while ((timer = *slot) != NULL) {
		unlink_timer(wheel, timer);
		if (tick_at_or_after(timer->deadline_) > now_tick) {
			file(wheel, timer);
			continue;
		}
		timer->slot_ = DUE;
		list_append(&wheel->due, timer);
	}
}

/* Moves some of what is in the next slot of each level to finer ones, so that nothing is left when the slot begins. */
static void move_ahead(struct rota__wheel *wheel)
{
	for (unsigned level = 1; level < ROTA__WHEEL_LEVELS; level++) {
		const unsigned next = (unsigned)(wheel->elapsed >> (level * LEVEL_BITS)) + 1;
		struct rota_timer *timer;

		for (unsigned n = 0; n < AHEAD && (timer = wheel->slot[level][next & SLOT_MASK]) != NULL; n++) {
			unlink_timer(wheel, timer);
			file(wheel, timer);
		}
	}
}

static void turn(struct rota__wheel *wheel, uint64_t now_tick)
{
	uint64_t start;

	while ((start = next_slot(wheel, false)) <= now_tick) {
		wheel->elapsed = start;
		/* All that begin there, or they would be taken for slots that come round later. */
		for (unsigned level = 0; level < ROTA__WHEEL_LEVELS; level++) {
			if (start >> (level * LEVEL_BITS) << (level * LEVEL_BITS) == start)
				empty_slot(wheel, now_tick, level);
		}
	}
	/* No slot begins between: the wheel may turn on. */
	if (now_tick > wheel->elapsed)
		wheel->elapsed = now_tick;
	move_ahead(wheel);
	refresh_next(wheel);
}

unsigned rota__wheel_expire(struct rota__wheel *wheel, uint64_t now)
{
	struct rota__wake_batch batch;
	struct rota_timer *timer;
	unsigned fired = 0, claimed = 0;

	if (rota__wheel_next(wheel) > now)
		return 0;
	rota__wake_batch_init(&batch);
	rota__spin_lock(&wheel->lock);
	turn(wheel, now >> ROTA__WHEEL_TICK_SHIFT);
	while ((timer = wheel->due) != NULL) {
		if (rota__wake_batch_full(&batch) || claimed == CLAIMED) {
			claimed = 0;
			/* Meanwhile a due timer may be cancelled, or fired by another who expires. */
			rota__spin_unlock(&wheel->lock);
			rota__wake_batch_submit(&batch);
			rota__spin_lock(&wheel->lock);
			continue;
		}
		list_remove(&wheel->due, timer);
		rota__wake_batch_add(&batch, &timer->waker_);
		/* RELEASE: partner is the poll that sees FIRED without the lock. Nobody touches the timer after it. */
		rota__store(&timer->state_, ROTA__TIMER_FIRED, RELEASE);
		fired++;
		claimed++;
	}
	rota__spin_unlock(&wheel->lock);
	rota__wake_batch_submit(&batch);
	return fired;
}
