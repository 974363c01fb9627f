/* SPDX-License-Identifier: MIT */
/*
 * A future by hand: "the bell has rung". What a wait of the program's own needs: a poll function, a waker that is kept
 * while there is nothing to say, and a cancel. Then what happens to who polls on after READY: an error, never a hang.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rota.h>

/* Rings once, for one who waits. The lock is held for a few instructions only, never across a wait. */
struct bell {
	pthread_mutex_t lock;
	bool rung;
	struct rota_waker waker; /* of who waits; none: nobody does */
};

struct bell_wait {
	struct rota_future future; /* first */
	struct bell *bell;
	bool cancelled;
};

/* PENDING is a promise that the waker will be woken, so it is left under the lock that bell_ring takes. The wakers of two
 * polls may differ: the latest counts. */
static rota_poll bell_poll(struct rota_future *self, struct rota_context *cx)
{
	struct bell_wait *wait = (struct bell_wait *)self;
	struct rota_waker mine = rota_context_waker(cx), former;
	bool rung, ready;

	pthread_mutex_lock(&wait->bell->lock);
	rung = wait->bell->rung;
	ready = rung || wait->cancelled;
	former = wait->bell->waker;
	wait->bell->waker = ready ? (struct rota_waker){ NULL, NULL } : mine;
	pthread_mutex_unlock(&wait->bell->lock);
	rota_waker_drop(&former); /* an empty one: nothing happens */
	if (!ready)
		return ROTA_PENDING;
	rota_waker_drop(&mine);
	self->status = rung ? 0 : -ECANCELED;
	return ROTA_READY;
}

/* Only asks: the poll that follows ends it. */
static void bell_cancel(struct rota_future *self)
{
	((struct bell_wait *)self)->cancelled = true;
}

static const struct rota_future_ops bell_ops = { bell_poll, bell_cancel, "a bell" };

static void bell_wait_init(struct bell_wait *wait, struct bell *bell)
{
	rota_future_init(&wait->future, &bell_ops);
	wait->bell = bell;
	wait->cancelled = false;
}

/* Any thread. */
static void bell_ring(struct bell *bell)
{
	struct rota_waker waker;

	pthread_mutex_lock(&bell->lock);
	bell->rung = true;
	waker = bell->waker;
	bell->waker = (struct rota_waker){ NULL, NULL };
	pthread_mutex_unlock(&bell->lock);
	rota_wake(&waker);
}

static int wait_for_bell(void *arg)
{
	struct bell_wait wait;

	bell_wait_init(&wait, arg);
	return rota_await(&wait.future);
}

/* A task waits; it is woken by the bell, or cancelled. */
static int wait_and(bool ring, int expected)
{
	struct bell bell = { .lock = PTHREAD_MUTEX_INITIALIZER };
	rota_task *waiter;
	int status, rc = rota_spawn(&waiter, wait_for_bell, &bell);

	if (rc < 0)
		return rc;
	rc = rota_sleep(ROTA_MS(20)); /* so that it waits */
	if (rc == 0 && ring)
		bell_ring(&bell);
	else
		rota_cancel(waiter);
	status = rota_join(waiter, &rc);
	if (status < 0)
		return status;
	printf("%s: the wait returned %s\n", ring ? "rung" : "cancelled", rc == 0 ? "0" : strerror(-rc));
	return rc == expected ? 0 : -EPROTO;
}

/* No runtime at all: whoever has a waker can poll. */
static int poll_after_ready(void)
{
	struct bell bell = { .lock = PTHREAD_MUTEX_INITIALIZER };
	const struct rota_waker waker = rota_thread_waker();
	struct rota_context cx = { &waker };
	struct bell_wait wait;
	rota_poll first, second, third;

	bell_wait_init(&wait, &bell);
	first = rota_future_poll(&wait.future, &cx);
	bell_ring(&bell);
	second = rota_future_poll(&wait.future, &cx);
	printf("polled: %s, rung, polled: %s\n", first == ROTA_PENDING ? "PENDING" : "READY",
	       second == ROTA_PENDING ? "PENDING" : "READY");
	fflush(stdout);
	third = rota_future_poll(&wait.future, &cx); /* the mistake */
	printf("polled again: %s, %s\n", third == ROTA_PENDING ? "PENDING" : "READY", strerror(-wait.future.status));
	fflush(stdout);
	return first == ROTA_PENDING && second == ROTA_READY && third == ROTA_READY && wait.future.status == -EINVAL;
}

/* In a process of its own, which a debug build of rota aborts. */
static int show_poll_after_ready(void)
{
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(poll_after_ready() ? 0 : 1);
	if (child < 0 || waitpid(child, &status, 0) != child)
		return 1;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT)
		printf("polled again: aborted, as this is a debug build of rota\n");
	else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return 1;
	return 0;
}

static int async_main(int argc, char **argv)
{
	int rc = wait_and(true, 0);

	(void)argc;
	if (rc == 0)
		rc = wait_and(false, -ECANCELED);
	if (rc >= 0 && fflush(stdout) != 0)
		rc = -errno;
	if (rc < 0)
		fprintf(stderr, "%s: %s\n", argv[0], strerror(-rc));
	return rc < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	int rc = show_poll_after_ready(); /* forks, so it comes before there are threads */

	return rc != 0 ? rc : rota_run(async_main, argc, argv);
}
