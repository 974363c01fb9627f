/* SPDX-License-Identifier: MIT */
/*
 * The run queue on one thread: order, what goes ahead, what fits, growth, overflow, what a thief takes, a thief at work, and
 * all of it again where the 32-bit indices wrap. stress/deque.c has the threads.
 */
#define _GNU_SOURCE
#include "../../runtime/deque_internal.h"

#include <errno.h>

#include "../../runtime/alloc_internal.h"
#include "../../runtime/sys_internal.h"
#include "../../runtime/task_internal.h"
#include "unit.h"

#define CAPACITY ROTA__DEQUE_CAPACITY

static rota_task tasks[ROTA__DEQUE_CAPACITY_MAX + 1];
static struct rota__deque deque, other;

/* Where the indices start. Every test is made at each, so that they wrap at the beginning, amid, and not at all. */
static const uint32_t starts[] = { 0, 1000, UINT32_MAX, UINT32_MAX - 1, UINT32_MAX - 100, UINT32_MAX - CAPACITY + 1 };

static void reset(struct rota__deque *d, uint32_t start)
{
	rota__deque_deinit(d);
	memset(d, 0, sizeof(*d));
	rota__store(&d->head, start, RELAXED);
	rota__store(&d->tail, start, RELAXED);
}

static void fill(uint32_t first, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		expect(rota__deque_push(&deque, &tasks[first + i]), ==, true);
}

/* What is left is tasks[first..first+n), in this order. */
static void expect_rest(struct rota__deque *d, uint32_t first, uint32_t n)
{
	expect(rota__deque_length(d), ==, n);
	for (uint32_t i = 0; i < n; i++)
		expect(rota__deque_pop(d) - tasks, ==, first + i);
	expect_pointer(rota__deque_pop(d), ==, NULL);
	expect(rota__deque_length(d), ==, 0);
}

static void at(size_t start, uint64_t mode, void (*script)(void))
{
	reset(&deque, starts[start]);
	reset(&other, starts[(start + 3) % (sizeof(starts) / sizeof(starts[0]))]);
	rota__deque_enter(&deque, rota__sys_has_sequences());
	rota__store(&deque.head, rota__load(&deque.head, RELAXED) | mode, RELAXED);
	script();
}

/* And where the head is its owner's, and not. */
static void at_each_start(void (*script)(void))
{
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		at(i, 0, script);
		if (rota__sys_has_sequences())
			at(i, ROTA__DEQUE_OWNED, script);
	}
}

static void first_in_first_out(void)
{
	expect_pointer(rota__deque_pop(&deque), ==, NULL);
	fill(0, 10);
	expect(rota__deque_length(&deque), ==, 10);
	expect(rota__deque_pop(&deque) - tasks, ==, 0);
	expect(rota__deque_pop(&deque) - tasks, ==, 1);
	fill(10, 5);
	expect_rest(&deque, 2, 13);
}

UNIT_TEST(deque, is_first_in_first_out_for_its_owner)
{
	at_each_start(first_in_first_out);
}

static void full(void)
{
	fill(0, CAPACITY);
	expect(rota__deque_push(&deque, &tasks[CAPACITY]), ==, false);
	expect(rota__deque_length(&deque), ==, CAPACITY);
	expect(rota__deque_pop(&deque) - tasks, ==, 0);
	fill(CAPACITY, 1);
	expect(rota__deque_push(&deque, &tasks[CAPACITY + 1]), ==, false);
	expect_rest(&deque, 1, CAPACITY);
}

UNIT_TEST(deque, refuses_what_does_not_fit)
{
	at_each_start(full);
}

static void overflow(void)
{
	rota_task *first = NULL, *last = NULL, *task;
	uint32_t i = 0;

	fill(0, CAPACITY);
	expect(rota__deque_overflow(&deque, &first, &last), ==, CAPACITY / 2);
	for (task = first; task != NULL; task = task->queue_next, i++) {
		expect(task - tasks, ==, i);
		if (task->queue_next == NULL)
			expect_pointer(task, ==, last);
	}
	expect(i, ==, CAPACITY / 2);
	fill(CAPACITY, CAPACITY / 2);
	expect_rest(&deque, CAPACITY / 2, CAPACITY);
}

UNIT_TEST(deque, overflow_moves_the_older_half)
{
	at_each_start(overflow);
}

static void no_overflow(void)
{
	rota_task *first = NULL, *last = NULL;

	fill(0, CAPACITY - 1);
	expect(rota__deque_overflow(&deque, &first, &last), ==, 0);
	expect_pointer(first, ==, NULL);
	expect_rest(&deque, 0, CAPACITY - 1);
}

UNIT_TEST(deque, overflow_leaves_alone_what_is_not_full)
{
	at_each_start(no_overflow);
}

static void steal(uint32_t size)
{
	const uint32_t n = size - size / 2;
	unsigned moved = 0;
	rota_task *task;

	fill(0, size);
	task = rota__deque_steal(&deque, &other, &moved);
	if (size == 0) {
		expect_pointer(task, ==, NULL);
		return;
	}
	expect(moved, ==, n);
	expect(task - tasks, ==, n - 1);
	expect_rest(&other, 0, n - 1);
	expect_rest(&deque, n, size - n);
}

static void steal_of_each_size(void)
{
	static const uint32_t sizes[] = { 0, 1, 2, 3, 4, 5, 100, CAPACITY - 1, CAPACITY };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		steal(sizes[i]);
}

UNIT_TEST(deque, a_thief_takes_half)
{
	at_each_start(steal_of_each_size);
}

static void steal_into_little_room(void)
{
	unsigned moved = 0;
	rota_task *task;

	/* One thief's own queue has room for three; it runs one more at once. */
	for (uint32_t i = 0; i < CAPACITY - 3; i++)
		expect(rota__deque_push(&other, &tasks[CAPACITY + i]), ==, true);
	fill(0, 100);
	task = rota__deque_steal(&deque, &other, &moved);
	expect_pointer(task, !=, NULL);
	expect(moved, <=, 4);
	expect(moved, >=, 1);
	expect(task - tasks, ==, moved - 1);
	expect_rest(&deque, moved, 100 - moved);
	expect(rota__deque_length(&other), ==, CAPACITY - 3 + moved - 1);
	for (uint32_t i = 0; i < CAPACITY - 3; i++)
		expect(rota__deque_pop(&other) - tasks, ==, CAPACITY + i);
	expect_rest(&other, 0, moved - 1);
}

UNIT_TEST(deque, a_thief_takes_no_more_than_it_has_room_for)
{
	at_each_start(steal_into_little_room);
}

static void growing(void)
{
	fill(0, CAPACITY);
	expect(rota__deque_room(&deque), ==, 0);
	expect(rota__deque_grow(&deque), ==, true);
	expect(rota__deque_room(&deque), ==, CAPACITY);
	expect(rota__deque_pop(&deque) - tasks, ==, 0);
	fill(CAPACITY, CAPACITY + 1);
	expect(rota__deque_push(&deque, &tasks[0]), ==, false);
	expect(rota__deque_grow(&deque), ==, true);
	fill(2 * CAPACITY + 1, 10);
	expect_rest(&deque, 1, 2 * CAPACITY + 10);
	expect(rota__deque_room(&deque), ==, 4 * CAPACITY);
}

UNIT_TEST(deque, grows_with_what_is_in_it)
{
	at_each_start(growing);
}

static void largest(void)
{
	rota_task *first = NULL, *last = NULL;

	for (uint32_t i = 0; i < ROTA__DEQUE_CAPACITY_MAX; i++) {
		if (!rota__deque_push(&deque, &tasks[i])) {
			expect(rota__deque_grow(&deque), ==, true);
			fill(i, 1);
		}
	}
	expect(rota__deque_push(&deque, &tasks[0]), ==, false);
	expect(rota__deque_grow(&deque), ==, false);
	expect(rota__deque_length(&deque), ==, ROTA__DEQUE_CAPACITY_MAX);
	expect(rota__deque_overflow(&deque, &first, &last), ==, ROTA__DEQUE_CAPACITY_MAX / 2);
	expect(first - tasks, ==, 0);
	expect(last - tasks, ==, ROTA__DEQUE_CAPACITY_MAX / 2 - 1);
	fill(ROTA__DEQUE_CAPACITY_MAX, 1);
	expect_rest(&deque, ROTA__DEQUE_CAPACITY_MAX / 2, ROTA__DEQUE_CAPACITY_MAX / 2 + 1);
}

UNIT_TEST(deque, grows_to_its_limit_and_then_overflows)
{
	at_each_start(largest);
}

UNIT_TEST(deque, stays_as_it_is_without_memory)
{
	reset(&deque, 0);
	fill(0, CAPACITY);
	rota__fault_arm(ROTA__FAULT_MAP, 1, -ENOMEM);
	expect(rota__deque_grow(&deque), ==, false);
	expect(rota__deque_push(&deque, &tasks[CAPACITY]), ==, false);
	expect(rota__deque_grow(&deque), ==, true);
	fill(CAPACITY, 1);
	expect_rest(&deque, 0, CAPACITY + 1);
}

static void steal_what_is_large(void)
{
	unsigned moved = 0;
	rota_task *task;

	fill(0, CAPACITY);
	expect(rota__deque_grow(&deque), ==, true);
	fill(CAPACITY, CAPACITY);
	expect(rota__deque_grow(&deque), ==, true);
	fill(2 * CAPACITY, CAPACITY);
	/* Half of it, and no more than the thief has room for. */
	task = rota__deque_steal(&deque, &other, &moved);
	expect(moved, ==, CAPACITY);
	expect(task - tasks, ==, CAPACITY - 1);
	expect_rest(&other, 0, CAPACITY - 1);
	task = rota__deque_steal(&other, &deque, &moved);
	expect_pointer(task, ==, NULL);
	expect_rest(&deque, CAPACITY, 2 * CAPACITY);
}

UNIT_TEST(deque, a_thief_takes_from_a_larger_one_what_it_has_room_for)
{
	at_each_start(steal_what_is_large);
}

/* A thief that has claimed n tasks and not yet copied them. */
static void stop_a_thief_at_work(uint32_t n)
{
	uint64_t head = rota__load(&deque.head, RELAXED);
	uint32_t real = (uint32_t)head;

	rota__store(&deque.head, (uint64_t)n << 32 | (uint32_t)(real + n), RELAXED);
}

static void let_the_thief_finish(void)
{
	uint32_t real = (uint32_t)rota__load(&deque.head, RELAXED);

	rota__store(&deque.head, real, RELAXED);
}

static void beside_a_thief(void)
{
	rota_task *first = NULL, *last = NULL;
	unsigned moved = 0;

	fill(0, CAPACITY);
	stop_a_thief_at_work(10);
	expect(rota__deque_length(&deque), ==, CAPACITY - 10);
	/* No second thief; no overwriting what the first one still reads. */
	expect_pointer(rota__deque_steal(&deque, &other, &moved), ==, NULL);
	expect(rota__deque_push(&deque, &tasks[CAPACITY]), ==, false);
	expect(rota__deque_overflow(&deque, &first, &last), ==, 0);
	/* The owner goes on, and frees no room by it. */
	expect(rota__deque_pop(&deque) - tasks, ==, 10);
	expect(rota__deque_push(&deque, &tasks[CAPACITY]), ==, false);
	let_the_thief_finish();
	fill(CAPACITY, 11);
	expect(rota__deque_push(&deque, &tasks[0]), ==, false);
	expect_rest(&deque, 11, CAPACITY);
}

UNIT_TEST(deque, keeps_the_slots_that_a_thief_still_copies)
{
	at_each_start(beside_a_thief);
}

static void grow_beside_a_thief(void)
{
	uint32_t real;

	fill(0, CAPACITY);
	stop_a_thief_at_work(10);
	real = (uint32_t)rota__load(&deque.head, RELAXED) - 10;
	expect(rota__deque_grow(&deque), ==, true);
	fill(CAPACITY, CAPACITY);
	/* What it has claimed is where it was, and in the new ring as well. */
	for (uint32_t i = 0; i < 10; i++) {
		const struct rota__deque_ring *ring = rota__load(&deque.ring, RELAXED);

		expect_pointer(rota__load(&deque.first[(real + i) % CAPACITY], RELAXED), ==, &tasks[i]);
		expect_pointer(rota__load(&ring->slots[(real + i) % ring->capacity], RELAXED), ==, &tasks[i]);
	}
	expect(rota__deque_push(&deque, &tasks[0]), ==, false);
	let_the_thief_finish();
	expect(rota__deque_room(&deque), ==, 10);
	expect_rest(&deque, 10, 2 * CAPACITY - 10);
}

UNIT_TEST(deque, grows_while_a_thief_copies)
{
	at_each_start(grow_beside_a_thief);
}

static size_t rings_here(void)
{
	size_t n = 0;

	for (struct rota__deque_ring *ring = rota__load(&deque.ring, RELAXED); ring != NULL; ring = ring->older)
		n++;
	return n;
}

static void outgrow(void)
{
	const size_t bytes = rota__alloc_bytes();

	fill(0, CAPACITY);
	expect(rota__deque_grow(&deque), ==, true);
	stop_a_thief_at_work(10);
	expect(rota__deque_grow(&deque), ==, true);
	expect(rings_here(), ==, 2); /* it may copy from the first one */
	rota__deque_trim(&deque);
	expect(rings_here(), ==, 2);
	let_the_thief_finish();
	expect(rota__deque_grow(&deque), ==, true);
	expect(rings_here(), ==, 1);
	rota__deque_trim(&deque); /* which is for empty ones */
	expect(rings_here(), ==, 1);
	expect_rest(&deque, 10, CAPACITY - 10);
	rota__deque_trim(&deque);
	expect(rings_here(), ==, 0);
	expect(rota__alloc_bytes(), ==, bytes);
	fill(0, CAPACITY);
	expect_rest(&deque, 0, CAPACITY);
}

UNIT_TEST(deque, gives_back_what_it_has_outgrown_once_no_thief_copies)
{
	at_each_start(outgrow);
}

/* A thief that has claimed the last tasks of all. */
static void trim_beside_a_thief(void)
{
	fill(0, CAPACITY);
	expect(rota__deque_grow(&deque), ==, true);
	for (uint32_t i = 0; i < CAPACITY - 10; i++)
		expect(rota__deque_pop(&deque) - tasks, ==, i);
	stop_a_thief_at_work(10);
	expect_pointer(rota__deque_pop(&deque), ==, NULL);
	rota__deque_trim(&deque);
	expect(rings_here(), ==, 1);
	let_the_thief_finish();
	rota__deque_trim(&deque);
	expect(rings_here(), ==, 0);
}

UNIT_TEST(deque, is_not_trimmed_while_a_thief_copies)
{
	at_each_start(trim_beside_a_thief);
}

/* Pushes and pops until the head is its owner's; how often. */
static unsigned pops_until_owned(void)
{
	unsigned n = 0;

	for (; !(rota__load(&deque.head, RELAXED) & ROTA__DEQUE_OWNED); n++) {
		fill(n % CAPACITY, 1);
		expect(rota__deque_pop(&deque) - tasks, ==, n % CAPACITY);
	}
	return n;
}

static void own_again(void)
{
	unsigned moved = 0, pops = pops_until_owned(), before;

	for (int i = 0; i < 3; i++) {
		expect_pointer(rota__deque_steal(&deque, &other, &moved), ==, NULL); /* which costs no barrier */
		expect((rota__load(&deque.head, RELAXED) & ROTA__DEQUE_OWNED) != 0, ==, true);
		fill(0, 4);
		expect(rota__deque_steal(&deque, &other, &moved) - tasks, ==, 1);
		expect((rota__load(&deque.head, RELAXED) & ROTA__DEQUE_OWNED) != 0, ==, false);
		expect_rest(&other, 0, 1);
		expect_rest(&deque, 2, 2);
		before = pops;
		pops = pops_until_owned();
		expect(pops, >, before); /* theft is not to cost too much */
	}
}

UNIT_TEST(deque, is_its_owners_after_many_pops_and_again_after_a_theft)
{
	if (rota__sys_has_sequences())
		at(0, 0, own_again);
}

static void another_thread(void)
{
	unsigned moved = 0;

	fill(0, 4);
	rota__deque_enter(&deque, false);
	expect((rota__load(&deque.head, RELAXED) & ROTA__DEQUE_OWNED) != 0, ==, false);
	expect(rota__deque_pop(&deque) - tasks, ==, 0);
	expect(rota__deque_steal(&deque, &other, &moved) - tasks, ==, 2);
	expect_rest(&other, 1, 1);
	expect_rest(&deque, 3, 1);
}

UNIT_TEST(deque, is_no_thread_s_that_the_kernel_does_not_cut_off)
{
	if (rota__sys_has_sequences())
		at(0, ROTA__DEQUE_OWNED, another_thread);
}

/* A thief that is about to make the head nobody's, and has not got further. */
static void beside_a_revoker(void)
{
	unsigned moved = 0;

	fill(0, 4);
	rota__store(&deque.revoking, 1, RELAXED);
	expect_pointer(rota__deque_steal(&deque, &other, &moved), ==, NULL);
	expect(rota__deque_pop(&deque) - tasks, ==, 0);
	rota__store(&deque.head, rota__load(&deque.head, RELAXED) | (uint64_t)1 << 62, RELAXED);
	expect_pointer(rota__deque_steal(&deque, &other, &moved), ==, NULL);
	expect(rota__deque_length(&deque), ==, 3);
	expect(rota__deque_push_ahead(&deque, &tasks[0], 1), ==, true);
	expect(rota__deque_pop(&deque) - tasks, ==, 0); /* it does not wait for the thief */
	expect_rest(&deque, 1, 3);
}

UNIT_TEST(deque, its_owner_waits_for_no_thief)
{
	if (rota__sys_has_sequences())
		at(2, ROTA__DEQUE_OWNED, beside_a_revoker);
}

/* tasks[first..first+n), linked. */
static rota_task *row(uint32_t first, uint32_t n)
{
	for (uint32_t i = first; i < first + n; i++)
		tasks[i].queue_next = i + 1 < first + n ? &tasks[i + 1] : NULL;
	return &tasks[first];
}

static void ahead(void)
{
	unsigned moved = 0;

	expect(rota__deque_push_ahead(&deque, row(5, 1), 1), ==, true);
	fill(6, 4);
	expect(rota__deque_push_ahead(&deque, row(2, 3), 3), ==, true);
	expect(rota__deque_push_ahead(&deque, row(0, 2), 2), ==, true);
	expect(rota__deque_length(&deque), ==, 10);
	expect(rota__deque_pop(&deque) - tasks, ==, 0);
	expect(rota__deque_steal(&deque, &other, &moved) - tasks, ==, 5);
	expect(moved, ==, 5);
	expect_rest(&other, 1, 4);
	expect_rest(&deque, 6, 4);
}

UNIT_TEST(deque, puts_tasks_ahead_of_all_others)
{
	at_each_start(ahead);
}

static void ahead_where_no_room_is(void)
{
	fill(10, CAPACITY - 3);
	expect(rota__deque_push_ahead(&deque, row(6, 4), 4), ==, false);
	expect(rota__deque_push_ahead(&deque, row(7, 3), 3), ==, true);
	expect(rota__deque_push_ahead(&deque, row(6, 1), 1), ==, false);
	expect_rest(&deque, 7, CAPACITY);
	/* A slot that a thief still copies from. */
	fill(0, 20);
	stop_a_thief_at_work(10);
	expect(rota__deque_push_ahead(&deque, row(30, 1), 1), ==, false);
	let_the_thief_finish();
	expect(rota__deque_push_ahead(&deque, row(9, 1), 1), ==, true);
	expect_rest(&deque, 9, 11);
}

UNIT_TEST(deque, puts_nothing_ahead_without_room_or_beside_a_thief)
{
	at_each_start(ahead_where_no_room_is);
}

static void many_turns(void)
{
	uint32_t pushed = 0, popped = 0;

	/* The ring turns round often, in steps that do not divide its size. */
	while (popped < 100 * CAPACITY) {
		for (uint32_t i = 0; i < 97; i++, pushed++)
			expect(rota__deque_push(&deque, &tasks[pushed % (2 * CAPACITY)]), ==, true);
		for (uint32_t i = 0; i < 97; i++, popped++)
			expect(rota__deque_pop(&deque) - tasks, ==, popped % (2 * CAPACITY));
	}
}

UNIT_TEST(deque, turns_round)
{
	at_each_start(many_turns);
}
