/* SPDX-License-Identifier: MIT */
/*
 * The rwlock: a writer is alone, readers see what the last one did, nobody is forgotten; a cancelled writer lets those in
 * whom it kept out. The value is plain, so that whoever comes in too early is a data race.
 */
#include "../../sync/rwlock.h"

#include <errno.h>

#include "waits.h"

static struct rota_rwlock lock;
static unsigned value, done;
static struct rota_rwlock_op writer, reader; /* they wait, in this order */
static struct rota_rwlock_op readers[3];     /* more than one batch of wakes (meson.build) */

static void setup(void)
{
	rota_rwlock_init(&lock);
	value = done = 0;
}

/* Locks, or queues. */
static rota_poll begin(struct rota_rwlock_op *op, void (*init)(struct rota_rwlock_op *op, struct rota_rwlock *l))
{
	init(op, &lock);
	return poll(&op->future);
}

/* Held already; a thread unlocks it. */
static void setup_read(void)
{
	setup();
	model_check(begin(&reader, rota_rwlock_rdlock_init) == ROTA_READY);
}

static void setup_written(void)
{
	setup();
	model_check(begin(&writer, rota_rwlock_wrlock_init) == ROTA_READY);
}

/* Held by a reader, and a writer waits, and behind it another reader. */
static void setup_queue(void)
{
	setup_read();
	model_check(begin(&writer, rota_rwlock_wrlock_init) == ROTA_PENDING);
	model_check(begin(&reader, rota_rwlock_rdlock_init) == ROTA_PENDING);
}

static void setup_three_readers_wait(void)
{
	setup_written();
	for (int i = 0; i < 3; i++) {
		rota_rwlock_rdlock_init(&readers[i], &lock);
		model_check(poll_elsewhere(&readers[i].future) == ROTA_PENDING);
	}
}

static void unlock(void)
{
	model_check(rota_rwlock_unlock(&lock) == 0);
}

static void write(void)
{
	model_check(rota_rwlock_wrlock(&lock) == 0);
	value += 2;
	unlock();
}

static void read(void)
{
	model_check(rota_rwlock_rdlock(&lock) == 0);
	model_outcome(value);
	unlock();
}

static void try_both(void)
{
	if (rota_rwlock_tryrdlock(&lock) == 0) {
		model_outcome(value);
		unlock();
	}
	if (rota_rwlock_trywrlock(&lock) == 0) {
		value += 2;
		unlock();
	}
}

/* The writer that becomes a reader: until it unlocks, no other writer was there. */
static void write_and_downgrade(void)
{
	model_check(rota_rwlock_wrlock(&lock) == 0);
	const unsigned mine = value += 2;
	model_check(rota_rwlock_downgrade(&lock) == 0);
	model_check(value == mine);
	unlock();
}

static void give_up_writer(void)
{
	int status = give_up(&writer.future);

	model_free(&writer, sizeof(writer));
	model_outcome(status == 0 ? 10 : 11);
	if (status == 0) {
		value += 2;
		unlock();
	} else {
		model_check(status == -ECANCELED);
	}
}

static void reader_served(void)
{
	model_check(poll(&reader.future) == ROTA_READY && reader.future.status == 0);
	unlock();
	model_check(rota_rwlock_deinit(&lock) == 0);
}

/* The reader that was there first is there still. */
static void reader_served_too(void)
{
	model_check(poll(&reader.future) == ROTA_READY && reader.future.status == 0);
	unlock();
	unlock();
	model_check(rota_rwlock_deinit(&lock) == 0);
}

/* The first unlock lets the writer in, whose own lets the reader in. */
static void unlock_and_write(void)
{
	unlock();
	model_check(poll(&writer.future) == ROTA_READY && writer.future.status == 0);
	value += 2;
	unlock();
}

/* Comes behind the writer, also if it came while the lock was held for reading. */
static void read_2(void)
{
	model_check(rota_rwlock_rdlock(&lock) == 0);
	model_check(value == 2);
	unlock();
}

static void downgrade_and_unlock(void)
{
	value = 2;
	model_check(rota_rwlock_downgrade(&lock) == 0);
	unlock();
}

static void write_and_free(void)
{
	model_check(rota_rwlock_wrlock(&lock) == 0);
	unsigned others = done++;
	unlock();
	if (others == 1)
		model_free(&lock, sizeof(lock));
}

static void give_up_the_third(void)
{
	int status = give_up(&readers[2].future);

	model_free(&readers[2], sizeof(readers[2]));
	model_check(status == 0 || status == -ECANCELED);
	model_outcome(status == 0 ? 0 : 1);
	if (status == 0)
		unlock();
}

/* The second reader is inside when the first one is. */
static void leave_with_the_third_and_free(void)
{
	model_check(rota_await(&readers[0].future) == 0);
	give_up_the_third();
	unlock();
	unlock();
	model_check(rota_rwlock_deinit(&lock) == 0);
	model_free(&lock, sizeof(lock));
}

static void nobody_inside(void)
{
	model_check(rota_rwlock_deinit(&lock) == 0);
	model_check(rota_rwlock_trywrlock(&lock) == 0);
}

static void two_inside(void)
{
	for (int i = 0; i < 2; i++) {
		model_check(poll(&readers[i].future) == ROTA_READY && readers[i].future.status == 0);
		unlock();
	}
	nobody_inside();
}

const struct model_scenario model_scenarios[] = {
	{ "rwlock: two write", setup, { write, write }, nobody_inside, 0, 0, 0 },
	{ "rwlock: write, read", setup, { write, read }, nobody_inside, 0x5, 0, 0 },
	{ "rwlock: two read", setup, { read, read }, nobody_inside, 0x1, 0, 0 },
	{ "rwlock: read before, write", setup_read, { unlock, write }, nobody_inside, 0, 0, 0 },
	{ "rwlock: a writer waits, read", setup_queue, { unlock_and_write, read_2 }, reader_served, 0, 0, 0 },
	{ "rwlock: try", setup, { write, try_both }, nobody_inside, 0x5, 0, 0 },
	{ "rwlock: downgrade, write", setup, { write_and_downgrade, write }, nobody_inside, 0, 0, 0 },
	{ "rwlock: downgrade, read", setup_written, { downgrade_and_unlock, read_2 }, nobody_inside, 0, 0, 0 },
	{ "rwlock: writer cancelled, a reader behind it",
	  setup_queue,
	  { unlock, give_up_writer },
	  reader_served,
	  0xc00,
	  0,
	  0 },
	{ "rwlock: writer cancelled, the others read", setup_queue, { give_up_writer }, reader_served_too, 0x800, 0, 0 },
	{ "rwlock: freed by the second", setup, { write_and_free, write_and_free }, NULL, 0, 0, 0 },
	{ "rwlock: cancel between two batches",
	  setup_three_readers_wait,
	  { unlock, give_up_the_third },
	  two_inside,
	  0x3,
	  0,
	  0 },
	{ "rwlock: freed between two batches",
	  setup_three_readers_wait,
	  { unlock, leave_with_the_third_and_free },
	  NULL,
	  0x3,
	  0,
	  2 },
	{ .name = NULL },
};
