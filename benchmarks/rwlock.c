/* SPDX-License-Identifier: MIT */
/*
 * A lock for readers and writers: read by one task, by many, and by many of whom some write. And as tokio's sync_rwlock
 * does it: read once by each of a few tasks or futures, at a time when nobody writes, and behind a writer.
 */
#include <errno.h>

#include "crowd.h"
#include "harness.h"
#include "measure.h"

enum { WRITE_EVERY = 16, READERS = 6 };

static struct bench_param params[] = {
	{ "tasks", 64, 64, "tasks that lock, at most 1,000" },
	{ "turns", 1000, 100, "times that each of them does, at a time" },
	{ NULL, 0, 0, NULL },
};

struct works {
	struct rota_rwlock lock;
	uint64_t turns, value;
	size_t tasks;
};

static int read_turns(void *arg)
{
	struct works *works = arg;
	const uint64_t turns = works->turns; /* beside what all of them write */
	uint64_t sum = 0;
	int rc = 0;

	for (uint64_t i = 0; i < turns && rc == 0; i++) {
		rc = rota_rwlock_rdlock(&works->lock);
		if (rc == 0) {
			sum += works->value;
			rc = rota_rwlock_unlock(&works->lock);
		}
	}
	return rc < 0 ? rc : sum == UINT64_MAX;
}

static int mixed_turns(void *arg)
{
	struct works *works = arg;
	const uint64_t turns = works->turns; /* beside what all of them write */
	int rc = 0;

	for (uint64_t i = 0; i < turns && rc == 0; i++) {
		const int write = i % WRITE_EVERY == 0;

		rc = write ? rota_rwlock_wrlock(&works->lock) : rota_rwlock_rdlock(&works->lock);
		if (rc < 0)
			break;
		works->value += (uint64_t)write;
		rc = rota_rwlock_unlock(&works->lock);
	}
	return rc;
}

static int read_step(void *arg)
{
	return crowd_run(((struct works *)arg)->tasks, read_turns, NULL, arg);
}

static int mixed_step(void *arg)
{
	return crowd_run(((struct works *)arg)->tasks, mixed_turns, NULL, arg);
}

/* ---- a few tasks are spawned that read once ---- */

static int read_once(void *arg)
{
	struct works *works = arg;
	int rc = rota_rwlock_rdlock(&works->lock);

	return rc < 0 ? rc : rota_rwlock_unlock(&works->lock);
}

static int spawned_step(void *arg)
{
	return crowd_run(READERS, read_once, NULL, arg);
}

static int let_go(void *arg)
{
	struct works *works = arg;

	return rota_rwlock_unlock(&works->lock);
}

/* Those that start before they are all spawned wait until the writer lets go. */
static int behind_step(void *arg)
{
	struct works *works = arg;
	int rc = rota_rwlock_wrlock(&works->lock);

	return rc < 0 ? rc : crowd_run(READERS, read_once, let_go, works);
}

/* ---- a few futures of one task that read once ---- */

struct reader {
	struct rota_async async;
	struct rota_rwlock_op op;
	struct rota_rwlock *lock;
};

static rota_poll reader_poll(struct rota_future *self, struct rota_context *cx)
{
	struct reader *reader = (struct reader *)(void *)self;

	ROTA_ASYNC_BEGIN(reader);
	rota_rwlock_rdlock_init(&reader->op, reader->lock);
	ROTA_AWAIT(reader, cx, &reader->op.future);
	if (reader->op.future.status < 0)
		ROTA_ASYNC_RETURN(reader, reader->op.future.status);
	ROTA_ASYNC_RETURN(reader, rota_rwlock_unlock(reader->lock));
	ROTA_ASYNC_END(reader);
}

static const struct rota_future_ops reader_ops = ROTA_ASYNC_OPS(reader_poll, "reader");

/* The writer that has the lock, and lets go when it is polled. */
static rota_poll writer_poll(struct rota_future *self, struct rota_context *cx)
{
	struct reader *writer = (struct reader *)(void *)self;

	(void)cx;
	self->status = rota_rwlock_unlock(writer->lock);
	return ROTA_READY;
}

static const struct rota_future_ops writer_ops = { .poll = writer_poll, .name = "writer" };

static int join(struct rota_rwlock *lock, bool behind_writer)
{
	struct reader readers[READERS + 1];
	struct rota_future *futures[READERS + 1];
	const size_t count = behind_writer ? READERS + 1 : READERS;

	for (size_t i = 0; i < count; i++) {
		rota_async_init(&readers[i].async, i < READERS ? &reader_ops : &writer_ops);
		readers[i].lock = lock;
		futures[i] = &readers[i].async.future;
	}
	return rota_await_all(futures, count);
}

static int joined_step(void *arg)
{
	struct works *works = arg;

	return join(&works->lock, false);
}

static int joined_behind_step(void *arg)
{
	struct works *works = arg;
	int rc = rota_rwlock_wrlock(&works->lock);

	return rc < 0 ? rc : join(&works->lock, true);
}

static int measure_few(struct works *works)
{
	int rc = bench_time_each("rwlock_spawned", spawned_step, works, READERS);

	if (rc == 0)
		rc = bench_time_each("rwlock_spawned_wait", behind_step, works, READERS);
	if (rc < 0 || bench_plain()) /* futures are awaited by tasks */
		return rc;
	rc = bench_time_each("rwlock_joined", joined_step, works, READERS);
	return rc < 0 ? rc : bench_time_each("rwlock_joined_wait", joined_behind_step, works, READERS);
}

static int inside(void *arg)
{
	struct works *works = arg;
	int rc = bench_time_each("rwlock_read", read_turns, works, works->turns);

	if (rc == 0)
		rc = bench_time_each("rwlock_read_shared", read_step, works, works->tasks * works->turns);
	if (rc == 0)
		rc = bench_time_each("rwlock_mixed", mixed_step, works, works->tasks * works->turns);
	return rc < 0 ? rc : measure_few(works);
}

static int round_of_rwlock(void)
{
	struct works works = {
		.lock = ROTA_RWLOCK_INIT,
		.turns = bench_param("turns"),
		.tasks = (size_t)bench_param("tasks"),
	};

	if (works.tasks == 0 || works.tasks > CROWD_MAX || works.turns == 0)
		return -EINVAL;
	return bench_run(inside, &works);
}

static const struct bench bench = {
	.name = "rwlock",
	.about = "a rwlock, read by one task, by 64, and by 64 that write every 16th time; once by 6 tasks or futures; "
		 "per lock "
		 "and unlock",
	.round = round_of_rwlock,
	.params = params,
	.plain = true,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
