/* SPDX-License-Identifier: MIT */
/*
 * Notifications: none is lost, whoever comes first; also one that is kept already tells of what was done before it; who
 * queued before a notification of all is told; a cancelled waiter swallows nothing.
 */
#include "../../sync/notify.h"

#include <errno.h>

#include "waits.h"

static struct rota_notify notify;
static struct rota_atomic_u32 flag; /* RELAXED: the notification is to order them */
static unsigned payload;
static struct rota_notify_op first, second, third; /* they wait, in this order */

static void setup(void)
{
	rota_notify_init(&notify);
	flag.value = 0;
	payload = 0;
}

/* The word is biased to the first thread. */
static void setup_biased(void)
{
	setup();
	notify.state_.value = ROTA__BIASED | ROTA__OWNER(1);
	model_owners = 1u << 1;
}

static void wait_in_setup(struct rota_notify_op *op)
{
	rota_notify_wait_init(op, &notify);
	model_check(poll(&op->future) == ROTA_PENDING);
}

static void setup_one_waits(void)
{
	setup();
	wait_in_setup(&first);
}

static void setup_two_wait(void)
{
	setup_one_waits();
	wait_in_setup(&second);
}

/* More than one batch of wakes (meson.build). */
static void setup_three_wait(void)
{
	struct rota_notify_op *const ops[] = { &first, &second, &third };

	setup();
	for (int i = 0; i < 3; i++) {
		rota_notify_wait_init(ops[i], &notify);
		model_check(poll_elsewhere(&ops[i]->future) == ROTA_PENDING);
	}
}

static void setup_kept(void)
{
	setup();
	rota_notify_one(&notify);
}

static void tell(void)
{
	payload = 1;
	rota_notify_one(&notify);
}

static void tell_nothing(void)
{
	rota_notify_one(&notify);
}

static void tell_last(void)
{
	payload = 1;
	rota_notify_last(&notify);
}

static void wait(void)
{
	model_check(rota_notify_wait(&notify) == 0);
	model_check(payload == 1);
}

/* Whoever is told goes on to tell. */
static void wait_and_tell(void)
{
	wait();
	rota_notify_one(&notify);
}

static void wait_and_free(void)
{
	wait();
	model_free(&notify, sizeof(notify));
}

static void told(struct rota_notify_op *op)
{
	model_check(poll(&op->future) == ROTA_READY && op->future.status == 0);
}

static void first_told(void)
{
	told(&first);
}

static void second_told(void)
{
	told(&second);
}

static void give_up_first(void)
{
	int status = give_up(&first.future);

	model_free(&first, sizeof(first));
	model_outcome(status == 0 ? 0 : 1);
	if (status == 0) {
		model_check(payload == 1);
		rota_notify_one(&notify);
	} else {
		model_check(status == -ECANCELED);
	}
}

static void give_up_third(void)
{
	int status = give_up(&third.future);

	model_free(&third, sizeof(third));
	model_check(status == 0 || status == -ECANCELED);
	model_outcome(status == 0 ? 0 : 1);
}

/* The second one is told when the first one is. */
static void leave_with_third_and_free(void)
{
	model_check(rota_await(&first.future) == 0);
	give_up_third();
	model_check(rota_notify_deinit(&notify) == 0);
	model_free(&notify, sizeof(notify));
}

static void set(void)
{
	rota__store(&flag, 1, RELAXED); /* partner: the notification */
	rota_notify_one(&notify);
}

static void set_for_all(void)
{
	rota__store(&flag, 1, RELAXED); /* as above */
	rota_notify_all(&notify);
}

/* The permit that was there may stand for the news, too. */
static void wait_for_flag(void)
{
	while (rota__load(&flag, RELAXED) == 0)
		model_check(rota_notify_wait(&notify) == 0);
}

/* Queues first, then looks, then waits: the way to miss no notification of all. */
static void queue_look_wait(void)
{
	struct rota_notify_op op;

	rota_notify_wait_init(&op, &notify);
	model_check(poll(&op.future) == ROTA_PENDING);
	if (rota__load(&flag, RELAXED) == 0) {
		model_check(rota_await(&op.future) == 0);
		model_check(rota__load(&flag, RELAXED) == 1);
		model_outcome(0);
	} else {
		give_up(&op.future);
		model_outcome(1);
	}
}

static void nothing_kept(void)
{
	struct rota_notify_op op;

	rota_notify_wait_init(&op, &notify);
	model_check(wait_or_give_up(&op.future) == -ECANCELED);
	model_check(rota_notify_deinit(&notify) == 0);
}

static void one_kept(void)
{
	struct rota_notify_op op;

	rota_notify_wait_init(&op, &notify);
	model_check(wait_or_give_up(&op.future) == 0);
	nothing_kept();
}

static void first_told_one_kept(void)
{
	first_told();
	one_kept();
}

static void first_two_told(void)
{
	first_told();
	second_told();
	nothing_kept();
}

static void nobody_waits(void)
{
	model_check(rota_notify_deinit(&notify) == 0);
}

const struct model_scenario model_scenarios[] = {
	{ "notify: one, wait", setup, { tell, wait }, nothing_kept, 0, 0, 0 },
	{ "notify: last, wait", setup, { tell_last, wait }, nothing_kept, 0, 0, 0 },
	{ "notify: handed on", setup, { tell, wait_and_tell }, one_kept, 0, 0, 0 },
	{ "notify: freed by who waits", setup, { tell, wait_and_free }, NULL, 0, 0, 0 },
	{ "notify: biased to who tells", setup_biased, { tell, wait }, nothing_kept, 0, 0, 2 },
	{ "notify: biased to who waits", setup_biased, { wait, tell }, nothing_kept, 0, 0, 2 },
	{ "notify: biased to who waits and frees", setup_biased, { wait_and_free, tell }, NULL, 0, 0, 2 },
	{ "notify: cancel", setup_one_waits, { tell, give_up_first }, one_kept, 0x3, 0, 0 },
	{ "notify: last, cancel the first", setup_two_wait, { tell_last, give_up_first }, second_told, 0x2, 0, 0 },
	{ "notify: cancel, another waits", setup_two_wait, { tell, give_up_first }, second_told, 0x3, 0, 0 },
	{ "notify: one is kept already", setup_kept, { set, wait_for_flag }, nobody_waits, 0, 0, 0 },
	{ "notify: two tell, one waits", setup_one_waits, { tell_nothing, tell_nothing }, first_told_one_kept, 0, 0, 0 },
	{ "notify: all, before anybody waits", setup, { set_for_all, queue_look_wait }, nothing_kept, 0x3, 0, 0 },
	{ "notify: all", setup_one_waits, { set_for_all, queue_look_wait }, first_told, 0x3, 0, 0 },
	{ "notify: all, cancel between two batches",
	  setup_three_wait,
	  { set_for_all, give_up_third },
	  first_two_told,
	  0x3,
	  0,
	  0 },
	{ "notify: all, freed between two batches",
	  setup_three_wait,
	  { set_for_all, leave_with_third_and_free },
	  NULL,
	  0x3,
	  0,
	  0 },
	{ .name = NULL },
};
