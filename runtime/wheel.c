/* SPDX-License-Identifier: MIT */
#include "wheel_internal.h"

#include "spin_internal.h"

#define LEVEL_BITS 6
#define SLOT_MASK ((uint64_t)ROTA__WHEEL_SLOTS - 1)
#define DUE (ROTA__WHEEL_LEVELS * ROTA__WHEEL_SLOTS) /* slot_ of a timer in the list of due ones */
#define MAX_TICKS (((uint64_t)1 << (LEVEL_BITS * ROTA__WHEEL_LEVELS)) - 1)

static uint64_t tick_at_or_after(uint64_t ns)
{
	const uint64_t tick = (uint64_t)1 << ROTA__WHEEL_TICK_SHIFT;

	return ns > UINT64_MAX - tick ? UINT64_MAX >> ROTA__WHEEL_TICK_SHIFT : (ns + tick - 1) >> ROTA__WHEEL_TICK_SHIFT;
}

/* The level at which `when` and `elapsed` first differ: below it they share a slot. */
static unsigned level_for(uint64_t elapsed, uint64_t when)
{
	uint64_t differ = (elapsed ^ when) | SLOT_MASK;

	return (63u - (unsigned)__builtin_clzll(differ)) / LEVEL_BITS;
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
	wheel->occupied[level] |= (uint64_t)1 << index;
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
		wheel->occupied[level] &= ~((uint64_t)1 << index);
}

/* The ns at which a tick begins. */
static uint64_t tick_start(uint64_t tick)
{
	return tick < ROTA_NEVER >> ROTA__WHEEL_TICK_SHIFT ? tick << ROTA__WHEEL_TICK_SHIFT : ROTA_NEVER;
}

/* Returns the tick at which its slot begins. */
static uint64_t file(struct rota__wheel *wheel, struct rota_timer *timer)
{
	uint64_t when = tick_at_or_after(timer->deadline_);

	if (when <= wheel->elapsed)
		when = wheel->elapsed + 1; /* due: the next look finds it */
	if (when - wheel->elapsed > MAX_TICKS)
		when = wheel->elapsed + MAX_TICKS;
	unsigned level = level_for(wheel->elapsed, when);
	/* A distance below MAX_TICKS may still carry into the bit above the last level: that slot comes round again. */
	if (level >= ROTA__WHEEL_LEVELS)
		level = ROTA__WHEEL_LEVELS - 1;
	unsigned shift = level * LEVEL_BITS;
	link_last(wheel, timer, level, (unsigned)(when >> shift & SLOT_MASK));
	return when >> shift << shift;
}

/* The next slot that must be looked at: its start in ticks; false when the wheel is empty. */
static bool next_slot(const struct rota__wheel *wheel, uint64_t *ret_start, unsigned *ret_level, unsigned *ret_index)
{
	for (unsigned level = 0; level < ROTA__WHEEL_LEVELS; level++) {
		unsigned shift = level * LEVEL_BITS;
		uint64_t occupied = wheel->occupied[level];

		if (occupied == 0)
			continue;
		/* The slot of `elapsed` itself is empty, or (at the last level) comes round last. */
		unsigned here = (unsigned)(wheel->elapsed >> shift & SLOT_MASK);
		unsigned turn = (here + 1) & (unsigned)SLOT_MASK;
		uint64_t ahead = turn ? occupied >> turn | occupied << (ROTA__WHEEL_SLOTS - turn) : occupied;
		unsigned distance = (unsigned)__builtin_ctzll(ahead) + 1;

		*ret_level = level;
		*ret_index = (here + distance) & (unsigned)SLOT_MASK;
		*ret_start = ((wheel->elapsed >> shift) + distance) << shift;
		return true;
	}
	return false;
}

static void refresh_next(struct rota__wheel *wheel)
{
	uint64_t start;
	unsigned level, index;
	uint64_t next = next_slot(wheel, &start, &level, &index) ? tick_start(start) : ROTA_NEVER;

	rota__store(&wheel->next, next, RELAXED);
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
static void empty_slot(struct rota__wheel *wheel, uint64_t now_tick, unsigned level, unsigned index)
{
	struct rota_timer *timer;

	while ((timer = wheel->slot[level][index]) != NULL) {
		unlink_timer(wheel, timer);
		if (tick_at_or_after(timer->deadline_) > now_tick) {
			file(wheel, timer);
			continue;
		}
		timer->slot_ = DUE;
		list_append(&wheel->due, timer);
	}
}

static void turn(struct rota__wheel *wheel, uint64_t now_tick)
{
	unsigned level, index;
	uint64_t start;

	while (next_slot(wheel, &start, &level, &index) && start <= now_tick) {
		wheel->elapsed = start;
		empty_slot(wheel, now_tick, level, index);
	}
	/* No slot begins between: the wheel may turn on. */
	if (now_tick > wheel->elapsed)
		wheel->elapsed = now_tick;
	refresh_next(wheel);
}

unsigned rota__wheel_expire(struct rota__wheel *wheel, uint64_t now)
{
	struct rota__wake_batch batch;
	struct rota_timer *timer;
	unsigned fired = 0;

	if (rota__wheel_next(wheel) > now)
		return 0;
	rota__wake_batch_init(&batch);
	rota__spin_lock(&wheel->lock);
	turn(wheel, now >> ROTA__WHEEL_TICK_SHIFT);
	while ((timer = wheel->due) != NULL) {
		if (rota__wake_batch_full(&batch)) {
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
	}
	rota__spin_unlock(&wheel->lock);
	rota__wake_batch_submit(&batch);
	return fired;
}
