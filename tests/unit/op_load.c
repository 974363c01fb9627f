/* SPDX-License-Identifier: MIT */
/*
 * More operations in flight than the rings hold, all of them cancelled, or half; every entry to the kernel failing once.
 */
#define _GNU_SOURCE
#include "../../io/op.h"
#include "../../runtime/sys_internal.h"
#include "places.h"
#include "plain.h"

/* --- many at once ------------------------------------------------------------------------------------------------- */

enum { MANY = 300 };

/*
 * MANY reads on one pipe as one future. Every `stride`-th is cancelled as soon as all were polled (0: none is); when those
 * have ended, a number for each of the others is written. `ready` is when all have ended.
 */
struct reads {
	struct rota_future future;
	struct rota_op op[MANY];
	uint16_t got[MANY];
	bool ended[MANY];
	unsigned stride, left, numbers;
	bool cancelled, written;
	int fds[2];
};

static bool is_cancelled(const struct reads *reads, unsigned i)
{
	return reads->stride > 0 && i % reads->stride == 0;
}

static void cancel_reads(struct reads *reads)
{
	for (unsigned i = 0; i < MANY; i++) {
		if (is_cancelled(reads, i))
			rota_future_cancel(&reads->op[i].future);
	}
	reads->cancelled = true;
}

static void write_numbers(struct reads *reads)
{
	for (uint16_t i = 0; i < reads->numbers; i++)
		expect(write(reads->fds[1], &i, sizeof(i)), ==, sizeof(i));
	reads->written = true;
}

static rota_poll reads_poll(struct rota_future *self, struct rota_context *cx)
{
	struct reads *reads = (struct reads *)(void *)self;

	for (unsigned i = 0; i < MANY; i++) {
		if (reads->ended[i] || rota_future_poll(&reads->op[i].future, cx) == ROTA_PENDING)
			continue;
		reads->ended[i] = true;
		reads->left--;
	}
	if (!reads->cancelled)
		cancel_reads(reads);
	if (reads->left == reads->numbers && !reads->written)
		write_numbers(reads);
	return reads->left == 0 ? ROTA_READY : ROTA_PENDING;
}

static const struct rota_future_ops reads_ops = { .poll = reads_poll };

/* Those that were not cancelled have got all the numbers, each once; the others nothing. */
static void check_reads(const struct reads *reads)
{
	bool seen[MANY] = { false };

	for (unsigned i = 0; i < MANY; i++) {
		if (is_cancelled(reads, i)) {
			expect(reads->op[i].future.status, ==, -ECANCELED);
			expect(reads->got[i], ==, 0xffff);
			continue;
		}
		expect(reads->op[i].future.status, ==, 2);
		expect(reads->got[i], <, reads->numbers);
		expect(seen[reads->got[i]], ==, false);
		seen[reads->got[i]] = true;
	}
	expect(plain_waiting(reads->fds[0]), ==, 0);
}

static void many_reads(const struct place *place, unsigned stride)
{
	struct reads *reads = calloc(1, sizeof(*reads));

	plain_pipe(reads->fds);
	rota_future_init(&reads->future, &reads_ops);
	memset(reads->got, 0xff, sizeof(reads->got));
	reads->stride = stride;
	reads->left = MANY;
	for (unsigned i = 0; i < MANY; i++) {
		rota_op_read(&reads->op[i], reads->fds[0], &reads->got[i], sizeof(reads->got[i]), -1);
		reads->numbers += !is_cancelled(reads, i);
	}
	expect(place->carry(place, &reads->future), ==, 0);
	check_reads(reads);
	plain_close(reads->fds);
	free(reads);
}

static void no_cancel_script(const struct place *place)
{
	many_reads(place, 0);
}

static void cancel_all_script(const struct place *place)
{
	many_reads(place, 1);
}

static void cancel_some_script(const struct place *place)
{
	many_reads(place, 3);
}

UNIT_TEST(op, more_than_the_rings_hold)
{
	for (unsigned entries = 1; entries <= 256; entries *= 4)
		everyhow_inside(no_cancel_script, entries);
}

UNIT_TEST(op, more_cancelled_than_the_rings_hold)
{
	for (unsigned entries = 1; entries <= 256; entries *= 4) {
		everyhow_inside(cancel_all_script, entries);
		everyhow_inside(cancel_some_script, entries);
	}
}

/* --- faults ------------------------------------------------------------------------------------------------------- */

static const int enter_errors[] = { -EBUSY, -EAGAIN, -EINTR, -ENOMEM };

enum { FAULTS = 40, TOKENS = 8 };

static int pass_on(void *arg)
{
	int *fds = arg; /* reads from fds[0], writes to fds[3], the next pipe's other end */
	char token[4];

	for (int i = 0; i < 3; i++) {
		expect(rota_read_exact(fds[0], token, 4), ==, 4);
		expect(rota_write_all(fds[3], token, 4), ==, 4);
	}
	return 0;
}

/* A token goes three times through a chain of fibers. */
static void chain_script(const struct place *place)
{
	int fds[2 * TOKENS + 2];
	rota_task *tasks[TOKENS];
	char token[4] = "";

	(void)place;
	for (int i = 0; i <= TOKENS; i++)
		plain_pipe(&fds[2 * i]);
	for (int i = 0; i < TOKENS; i++)
		expect(rota_spawn(&tasks[i], pass_on, &fds[2 * i]), ==, 0);
	for (int i = 0; i < 3; i++) {
		expect(rota_write_all(fds[1], "baton", 4), ==, 4);
		expect(rota_read_exact(fds[2 * TOKENS], token, 4), ==, 4);
		plain_expect_bytes(token, "baton", 4);
	}
	for (int i = 0; i < TOKENS; i++)
		expect(rota_join(tasks[i], NULL), ==, 0);
	for (int i = 0; i <= TOKENS; i++)
		plain_close(&fds[2 * i]);
}

static int chain_main(void *arg)
{
	chain_script(arg);
	return 0;
}

static void chain_with_faults(enum rota_flavor flavor, unsigned ring_entries)
{
	rota_runtime *rt = place_runtime(flavor, ring_entries);
	char where[64];

	for (unsigned e = 0; e < sizeof(enter_errors) / sizeof(enter_errors[0]); e++) {
		for (unsigned n = 1; n <= FAULTS; n++) {
			snprintf(where, sizeof(where), "ring of %u, enter %u fails with %d", ring_entries, n,
				 enter_errors[e]);
			expect_about = where;
			rota__fault_arm(ROTA__FAULT_ENTER, n, enter_errors[e]);
			expect(rota_block_on(rt, chain_main, NULL), ==, 0);
		}
	}
	rota__fault_arm(ROTA__FAULT_ENTER, 0, 0);
	expect_about = NULL;
	place_runtime_free(rt);
}

UNIT_TEST(op, every_enter_fails_once)
{
	chain_with_faults(ROTA_FLAVOR_MULTI_THREAD, 256);
	chain_with_faults(ROTA_FLAVOR_CURRENT_THREAD, 256);
}

UNIT_TEST(op, every_enter_fails_once_and_the_rings_are_full)
{
	chain_with_faults(ROTA_FLAVOR_MULTI_THREAD, 1);
	chain_with_faults(ROTA_FLAVOR_CURRENT_THREAD, 1);
	chain_with_faults(ROTA_FLAVOR_CURRENT_THREAD, 2);
}

static void faults_around(place_script *script, unsigned ring_entries)
{
	char where[96];

	for (unsigned i = 1; i < PLACES; i++) {
		rota_runtime *rt;

		for (unsigned n = 1; n <= 12; n++) {
			struct place_visit visit = { { where, NULL, place_kinds[i].carry, NULL }, script };

			rt = place_runtime(place_kinds[i].flavor, ring_entries);
			visit.place.rt = rt;
			snprintf(where, sizeof(where), "%s, ring of %u, enter %u fails", place_kinds[i].name,
				 ring_entries, n);
			expect_about = where;
			rota__fault_arm(ROTA__FAULT_ENTER, n, -EBUSY);
			if (place_kinds[i].host == HOST_THREAD)
				place_visit(&visit);
			else
				expect(rota_block_on(rt,
						     place_kinds[i].host == HOST_JOB ? place_visit_as_job : place_visit,
						     &visit),
				       ==, 0);
			rota__fault_arm(ROTA__FAULT_ENTER, 0, 0);
			place_runtime_free(rt);
		}
	}
	expect_about = NULL;
}

/* What could not be handed to the kernel waits in a list, from which a cancel has to take it out again. */
UNIT_TEST(op, cancel_while_enters_fail)
{
	faults_around(no_cancel_script, 1);
	faults_around(cancel_all_script, 1);
	faults_around(cancel_some_script, 1);
	faults_around(cancel_some_script, 4);
}

/* An operation that is cancelled in that list, with nothing else to wake its worker. */
static void cancel_in_the_list_script(const struct place *place)
{
	struct rota_op ops[2];
	char byte[2];
	int fds[2];

	plain_pipe(fds);
	rota_sleep(ROTA_MS(1)); /* the ring has slept once, and is as it will stay */
	for (int i = 0; i < 2; i++) {
		struct poll_once once = { .child = &ops[i].future };

		rota_op_read(&ops[i], fds[0], &byte[i], 1, -1);
		if (i == 1)
			rota__fault_arm(ROTA__FAULT_ENTER, 1, -EBUSY);
		rota_future_init(&once.future, &poll_once_ops);
		expect(rota_await(&once.future), ==, ROTA_PENDING);
	}
	rota__fault_arm(ROTA__FAULT_ENTER, 0, 0);
	rota_future_cancel(&ops[1].future);
	expect(place->carry(place, &ops[1].future), ==, -ECANCELED);
	rota_future_cancel(&ops[0].future);
	expect(place->carry(place, &ops[0].future), ==, -ECANCELED);
	plain_close(fds);
}

UNIT_TEST(op, cancel_of_what_could_not_be_submitted)
{
	in_fibers(cancel_in_the_list_script, 1);
}
