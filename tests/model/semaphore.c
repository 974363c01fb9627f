/* SPDX-License-Identifier: MIT */
/* The semaphore: no more inside than permits, nobody is forgotten, a cancelled waiter leaves its permits to the next. */
#include "../../sync/semaphore.h"

#include <errno.h>

#include "waits.h"

static struct rota_semaphore semaphore;
static unsigned inside, done;
static struct rota_semaphore_op first, second, third; /* in this order */

static void setup_0(void)
{
	rota_semaphore_init(&semaphore, 0);
	inside = done = 0;
}

static void setup_1(void)
{
	rota_semaphore_init(&semaphore, 1);
	inside = done = 0;
}

static void wait_in_setup(struct rota_semaphore_op *op)
{
	rota_semaphore_acquire_init(op, &semaphore, 1);
	model_check(poll(&op->future) == ROTA_PENDING);
}

static void setup_two_wait(void)
{
	setup_0();
	wait_in_setup(&first);
	wait_in_setup(&second);
}

/* More than one batch of wakes (meson.build). */
static void setup_three_wait(void)
{
	struct rota_semaphore_op *const ops[] = { &first, &second, &third };

	setup_0();
	for (int i = 0; i < 3; i++) {
		rota_semaphore_acquire_init(ops[i], &semaphore, 1);
		model_check(poll_elsewhere(&ops[i]->future) == ROTA_PENDING);
	}
}

static void acquire(uint64_t n)
{
	model_check(rota_semaphore_acquire(&semaphore, n) == 0);
}

static void release_1(void)
{
	model_check(rota_semaphore_release(&semaphore, 1) == 0);
}

static void acquire_1(void)
{
	acquire(1);
}

static void acquire_2(void)
{
	acquire(2);
}

/* With one permit, a critical section. */
static void use(void)
{
	acquire(1);
	model_check(inside++ == 0);
	inside--;
	release_1();
}

static void use_and_free(void)
{
	acquire(1);
	unsigned others = done++;
	release_1();
	if (others == 1)
		model_free(&semaphore, sizeof(semaphore));
}

static void acquire_and_free(void)
{
	acquire(1);
	model_free(&semaphore, sizeof(semaphore));
}

static void outcome(int status)
{
	model_check(status == 0 || status == -ECANCELED);
	model_outcome(status == 0 ? 0 : 1);
}

/* What it got after all goes on to the next. */
static void give_up_first(void)
{
	int status = give_up(&first.future);

	model_free(&first, sizeof(first));
	outcome(status);
	if (status == 0)
		release_1();
}

static void release_3(void)
{
	model_check(rota_semaphore_release(&semaphore, 3) == 0);
}

/* The permit is its own, or nobody's. */
static void give_up_third(void)
{
	int status = give_up(&third.future);

	model_free(&third, sizeof(third));
	outcome(status);
	if (status == 0)
		release_1();
}

/* The second one has its permit when the first one has. */
static void leave_with_third_and_free(void)
{
	model_check(rota_await(&first.future) == 0);
	give_up_third();
	model_check(rota_semaphore_deinit(&semaphore) == 0);
	model_free(&semaphore, sizeof(semaphore));
}

/* It may look between two batches, and is in the list then. */
static void await_the_end(void)
{
	model_check(rota_await(&third.future) == -EPIPE);
	model_free(&third, sizeof(third));
}

static void served(struct rota_semaphore_op *op)
{
	model_check(poll(&op->future) == ROTA_READY && op->future.status == 0);
}

static void one_left(void);
static void none_left(void);

static void first_two_served(void)
{
	served(&first);
	served(&second);
	one_left();
}

static void first_two_turned_away(void)
{
	model_check(poll(&first.future) == ROTA_READY && first.future.status == -EPIPE);
	model_check(poll(&second.future) == ROTA_READY && second.future.status == -EPIPE);
	none_left();
}

static void second_served(void)
{
	served(&second);
	model_check(rota_semaphore_available(&semaphore) == 0);
}

/* There are never two; while it waits, nobody overtakes. */
static void want_2_in_vain(void)
{
	rota_semaphore_acquire_init(&first, &semaphore, 2);
	outcome(wait_or_give_up(&first.future));
}

static void close_it(void)
{
	rota_semaphore_close(&semaphore);
}

static void acquire_until_closed(void)
{
	int rc = rota_semaphore_acquire(&semaphore, 1);

	model_check(rc == 0 || rc == -EPIPE);
	model_outcome(rc == 0 ? 0 : 1);
}

static void one_left(void)
{
	model_check(rota_semaphore_available(&semaphore) == 1);
	model_check(rota_semaphore_deinit(&semaphore) == 0);
}

static void none_left(void)
{
	model_check(rota_semaphore_available(&semaphore) == 0);
	model_check(rota_semaphore_deinit(&semaphore) == 0);
}

const struct model_scenario model_scenarios[] = {
	{ "semaphore: one permit, two", setup_1, { use, use }, one_left, 0, 0, 0 },
	{ "semaphore: release, acquire", setup_0, { release_1, acquire_1 }, none_left, 0, 0, 0 },
	{ "semaphore: two at once", setup_0, { release_1, release_1, acquire_2 }, none_left, 0, 0, 2 },
	{ "semaphore: freed by who acquires", setup_0, { release_1, acquire_and_free }, NULL, 0, 0, 0 },
	{ "semaphore: freed by the second", setup_1, { use_and_free, use_and_free }, NULL, 0, 0, 0 },
	{ "semaphore: cancel, another waits", setup_two_wait, { release_1, give_up_first }, second_served, 0x3, 0, 0 },
	{ "semaphore: the first wants more", setup_1, { want_2_in_vain, acquire_1 }, none_left, 0x2, 0, 0 },
	{ "semaphore: close", setup_0, { close_it, acquire_until_closed }, NULL, 0x2, 0, 0 },
	{ "semaphore: release, close", setup_0, { release_1, close_it, acquire_until_closed }, NULL, 0x3, 0, 1 },
	{ "semaphore: close, more than a batch",
	  setup_three_wait,
	  { close_it, await_the_end },
	  first_two_turned_away,
	  0,
	  0,
	  0 },
	{ "semaphore: cancel between two batches",
	  setup_three_wait,
	  { release_3, give_up_third },
	  first_two_served,
	  0x3,
	  0,
	  0 },
	{ "semaphore: freed between two batches",
	  setup_three_wait,
	  { release_3, leave_with_third_and_free },
	  NULL,
	  0x3,
	  0,
	  0 },
	{ .name = NULL },
};
