/* SPDX-License-Identifier: MIT */
/*
 * Tasks and what comes back from them: results that are summed, a random number, an error that reaches the caller by plain
 * returns, a task that never leaves its thread, one that nobody joins.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include <rota.h>

enum { PIECES = 4 };

/* A status is 0 or more, or a negative errno, so that a small result needs no other place. */
static int square(void *arg)
{
	int n = (int)(intptr_t)arg;

	return n < 0 ? -EDOM : n * n;
}

/* The task's status, or -ECANCELED when the caller was cancelled meanwhile: then the task is, too, and waited for, since it
 * may use the caller's stack. (A scope does the same by itself.) */
static int join(rota_task *task)
{
	int status = 0, rc = rota_join(task, &status);

	if (rc < 0) {
		rota_cancel(task);
		rota_shield_enter();
		rota_join(task, NULL);
		rota_shield_leave();
	}
	return rc < 0 ? rc : status;
}

/* Every task that was spawned is joined, whatever went wrong before: the first error counts. */
static int sum_of_squares(const int *numbers, int *ret_sum)
{
	rota_task *tasks[PIECES];
	int spawned = 0, sum = 0, rc = 0;

	while (spawned < PIECES && rc == 0) {
		rc = rota_spawn(&tasks[spawned], square, (void *)(intptr_t)numbers[spawned]);
		spawned += rc == 0;
	}
	for (int i = 0; i < spawned; i++) {
		int result = join(tasks[i]);

		if (result >= 0)
			sum += result;
		else if (rc == 0)
			rc = result;
	}
	if (rc < 0)
		return rc;
	*ret_sum = sum;
	return 0;
}

static int print_sums(void)
{
	static const int good[PIECES] = { 1, 2, 3, 4 }, bad[PIECES] = { 1, 2, -3, 4 };
	int sum, rc = sum_of_squares(good, &sum);

	if (rc < 0)
		return rc;
	printf("sum of four results: %d\n", sum);
	rc = sum_of_squares(bad, &sum);
	printf("the third task fails: %s\n", rc < 0 ? strerror(-rc) : "it does not");
	return rc == -EDOM ? 0 : -EPROTO;
}

/* A result that is larger than a status goes where the spawner says. */
static int draw(void *arg)
{
	uint64_t *ret_number = arg;

	return getrandom(ret_number, sizeof(*ret_number), 0) == sizeof(*ret_number) ? 0 : -EIO;
}

static int print_random(void)
{
	uint64_t number;
	rota_task *task;
	int rc = rota_spawn(&task, draw, &number);

	if (rc == 0)
		rc = join(task);
	if (rc == 0)
		printf("a random number: %" PRIu64 "\n", number);
	return rc;
}

/* Runs on the spawner's worker, so the two need no lock for what only they touch. */
static int count_up(void *arg)
{
	int *count = arg;

	for (int i = 0; i < 3; i++) {
		int rc = rota_yield();

		if (rc < 0)
			return rc;
		++*count;
	}
	return 0;
}

static int print_local(void)
{
	rota_task *task;
	int count = 0, rc = rota_spawn_local(&task, count_up, &count);

	if (rc == 0)
		rc = join(task);
	if (rc == 0)
		printf("a local task counted to %d\n", count);
	return rc;
}

static int tell(void *arg)
{
	printf("nobody joins me\n");
	rota_notify_one(arg);
	return 0;
}

/* Detached: it is not to be heard of again, so it says itself that it has ended. */
static int print_detached(void)
{
	static struct rota_notify ended = ROTA_NOTIFY_INIT; /* outlives the task */
	int rc = rota_spawn(NULL, tell, &ended);

	return rc < 0 ? rc : rota_notify_wait(&ended);
}

static int async_main(int argc, char **argv)
{
	int rc = print_sums();

	(void)argc;
	rc = rc < 0 ? rc : print_random();
	rc = rc < 0 ? rc : print_local();
	rc = rc < 0 ? rc : print_detached();
	if (rc >= 0 && fflush(stdout) != 0)
		rc = -errno;
	if (rc < 0)
		fprintf(stderr, "%s: %s\n", argv[0], strerror(-rc));
	return rc < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	return rota_run(async_main, argc, argv);
}
