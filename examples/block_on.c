/* SPDX-License-Identifier: MIT */
/*
 * An executor of the program's own, as the books have it: block_on in ten lines, from a future, a waker and a parked thread;
 * and a spawn_blocking in thirty, a thread for each call, whose end is a future. They go together without any runtime.
 * Then rota_block_on from a plain thread, and why the same call is refused inside a task.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <rota.h>

/* --- block_on ------------------------------------------------------------------------------------------------------- */

static int block_on(struct rota_future *future)
{
	const struct rota_waker waker = rota_thread_waker();
	struct rota_context cx = { &waker };

	while (rota_future_poll(future, &cx) == ROTA_PENDING)
		rota_thread_park(); /* until somebody wakes `waker`, or for no reason: the poll tells */
	return future->status;
}

/* --- spawn_blocking ------------------------------------------------------------------------------------------------- */

struct blocking {
	struct rota_async async; /* async.future is ready when fn has returned, with fn's status */
	rota_fn *fn;
	void *arg;
	pthread_t thread;
	int status;
	struct rota_notify end;
	struct rota_notify_op ended;
};

static void *blocking_thread(void *arg)
{
	struct blocking *b = arg;

	b->status = b->fn(b->arg);
	rota_notify_one(&b->end);
	return NULL;
}

static rota_poll blocking_poll(struct rota_future *self, struct rota_context *cx)
{
	struct blocking *b = (struct blocking *)self;

	ROTA_ASYNC_BEGIN(b);
	rota_notify_wait_init(&b->ended, &b->end);
	ROTA_AWAIT_SHIELDED(b, cx, &b->ended.future); /* a call that blocks cannot be called off */
	pthread_join(b->thread, NULL);                /* the thread has nothing left to do but return */
	ROTA_ASYNC_RETURN(b, b->status);
	ROTA_ASYNC_END(b);
}

static int spawn_blocking(struct blocking *b, rota_fn *fn, void *arg)
{
	static const struct rota_future_ops ops = ROTA_ASYNC_OPS(blocking_poll, "a thread");

	*b = (struct blocking){ .fn = fn, .arg = arg, .end = ROTA_NOTIFY_INIT };
	rota_async_init(&b->async, &ops);
	return -pthread_create(&b->thread, NULL, blocking_thread, b);
}

/* --- both at work --------------------------------------------------------------------------------------------------- */

static int answer_slowly(void *arg)
{
	static const struct timespec pause = { .tv_nsec = 30 * 1000 * 1000 };

	nanosleep(&pause, NULL); /* cut short by a signal it does no harm */
	return *(int *)arg;
}

static int without_runtime(void)
{
	struct blocking b;
	int number = 42, rc = spawn_blocking(&b, answer_slowly, &number);

	if (rc < 0)
		return rc;
	rc = block_on(&b.async.future);
	printf("own block_on, own spawn_blocking: %d\n", rc);
	return rc;
}

/* The same future in a task of rota: it suspends, where the plain thread parked. */
static int in_task(void *arg)
{
	struct blocking b;
	int number = 43, rc = spawn_blocking(&b, answer_slowly, &number);

	(void)arg;
	if (rc < 0)
		return rc;
	rc = rota_await(&b.async.future);
	printf("task %llu awaited own spawn_blocking: %d\n", (unsigned long long)rota_task_id(), rc);
	return rc;
}

/* --- rota_block_on -------------------------------------------------------------------------------------------------- */

static int run(rota_fn *fn, bool with_runtime)
{
	rota_runtime *rt;
	int rc = rota_runtime_new(&rt, NULL);

	if (rc < 0)
		return rc;
	rc = rota_block_on(rt, fn, with_runtime ? rt : NULL);
	rota_runtime_free(rt);
	return rc;
}

/* A worker that blocked in a task could run no other one. */
static int block_inside_task(void *arg)
{
	int rc = rota_block_on(arg, in_task, NULL);

	printf("rota_block_on inside a task: %s\n", strerror(-rc));
	fflush(stdout);
	return rc == -EDEADLK ? 0 : -EPROTO;
}

/* In a process of its own, which a debug build of rota aborts, so that nobody overlooks the mistake. */
static int show_refusal(void)
{
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(run(block_inside_task, true) == 0 ? 0 : 1);
	if (child < 0 || waitpid(child, &status, 0) != child)
		return -ECHILD;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT)
		printf("rota_block_on inside a task: aborted, as this is a debug build of rota\n");
	else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return -EPROTO;
	return 0;
}

int main(void)
{
	int rc = show_refusal(); /* forks, so it comes before there are threads */

	if (rc == 0)
		rc = without_runtime();
	if (rc >= 0)
		rc = run(in_task, false);
	if (rc >= 0)
		printf("rota_block_on from a plain thread: %d\n", rc);
	if (rc >= 0 && fflush(stdout) != 0)
		rc = -errno;
	if (rc < 0)
		fprintf(stderr, "block_on: %s\n", strerror(-rc));
	return rc < 0 ? 1 : 0;
}
