/* SPDX-License-Identifier: MIT */
/*
 * Workers that get stuck at random: fibers that compute for up to 20 ms, block in place, talk over sockets, sleep, spawn,
 * and are cancelled, on one to four workers whose spares come and go. Nobody may wait for ever, no byte may get lost, no
 * timer may fire early.
 */
#define _GNU_SOURCE
#include <sys/socket.h>

#include "crew.h"

#define ROUNDS 8
#define TALKERS 12
#define STEPS STRESS_FEWER(160)

struct talker {
	rota_runtime *rt;
	struct stress_random random;
	uint64_t answers; /* seed of who answers */
	int fd;           /* of the talker itself */
	int other_fd;     /* of who answers it */

	rota_task *answerer;
};

static struct rota_atomic_u64 spare_calls;
static rota_runtime *runtime;

static void report(void)
{
	runtime_report(runtime);
}

static void compute(struct stress_random *random)
{
	/* Now and then so long that the monitor takes notice, mostly not. */
	const uint64_t ns =
		stress_one_in(random, 12) ? ROTA_US(stress_below(random, 20000)) : stress_below(random, 20000);
	const uint64_t until = rota_now() + ns;

	while (rota_now() < until)
		rota__cpu_relax();
}

static int block(void *arg)
{
	struct stress_random *random = arg;

	if (stress_one_in(random, 2))
		usleep(stress_below(random, 3000));
	else
		compute(random);
	if (stress_one_in(random, 4))
		return rota_sleep(ROTA_US(stress_below(random, 1000))); /* as a thread does */
	return 0;
}

static void get_stuck(struct stress_random *random)
{
	if (stress_one_in(random, 8))
		expect(rota_block_in_place(block, random), ==, 0);
	else
		compute(random);
}

/* Sends back what comes. */
static int answer(void *arg)
{
	struct talker *talker = arg;
	struct stress_random random = { talker->answers };
	unsigned char bytes[256];
	ssize_t n;

	while ((n = rota_recv(talker->other_fd, bytes, sizeof(bytes), 0)) > 0) {
		if (stress_one_in(&random, 8))
			get_stuck(&random);
		n = rota_write_all(talker->other_fd, bytes, (size_t)n);
		if (n < 0)
			break;
	}
	expect(n, ==, 0);
	expect(rota_shutdown(talker->other_fd, SHUT_WR), ==, 0);
	return 0;
}

static void exchange(struct talker *talker)
{
	unsigned char sent[200], got[200];
	const size_t len = 1 + stress_below(&talker->random, sizeof(sent));

	for (size_t i = 0; i < len; i++)
		sent[i] = (unsigned char)stress_next(&talker->random);
	expect(rota_write_all(talker->fd, sent, len), ==, (ssize_t)len);
	if (stress_one_in(&talker->random, 4))
		get_stuck(&talker->random);
	expect(rota_read_exact(talker->fd, got, len), ==, (ssize_t)len);
	expect(memcmp(sent, got, len), ==, 0);
}

static void nap(struct talker *talker)
{
	const uint64_t until = rota_now() + ROTA_US(stress_below(&talker->random, 2000));

	expect(rota_sleep_until(until), ==, 0);
	expect(rota_now(), >=, until);
}

/* Waits for what never comes, in the kernel or for a timer. */
static int wait_in_vain(void *arg)
{
	int *ends = arg;
	char byte;

	if (ends == NULL)
		return rota_sleep(ROTA_SECONDS(3600));
	return (int)rota_recv(ends[0], &byte, 1, 0);
}

static void cancel_one(struct talker *talker)
{
	int ends[2], status = 0;
	rota_task *task;

	expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
	expect(rota_spawn(&task, wait_in_vain, stress_one_in(&talker->random, 2) ? ends : NULL), ==, 0);
	if (stress_one_in(&talker->random, 2))
		rota_yield();
	get_stuck(&talker->random);
	expect(rota_cancel(task), ==, 0);
	expect(rota_join(task, &status), ==, 0);
	expect(status, ==, -ECANCELED);
	close(ends[0]);
	close(ends[1]);
}

static int child(void *arg)
{
	struct stress_random random = { (uint64_t)(uintptr_t)arg };

	for (unsigned i = stress_below(&random, 3); i > 0; i--)
		expect(rota_yield(), ==, 0);
	get_stuck(&random);
	if (stress_one_in(&random, 4))
		expect(rota_sleep(ROTA_US(stress_below(&random, 500))), ==, 0);
	return (int)stress_below(&random, 1000);
}

static void have_child(struct talker *talker)
{
	void *arg = (void *)(uintptr_t)stress_next(&talker->random);
	int status = -1;
	rota_task *task;

	if (stress_one_in(&talker->random, 3))
		expect(rota_spawn_local(&task, child, arg), ==, 0);
	else
		expect(rota_spawn(&task, child, arg), ==, 0);
	expect(rota_join(task, &status), ==, 0);
	expect(status, >=, 0);
}

static int talk(void *arg)
{
	struct talker *talker = arg;

	for (unsigned i = 0; i < STEPS; i++) {
		switch (stress_below(&talker->random, 8)) {
		case 0:
			nap(talker);
			break;
		case 1:
			cancel_one(talker);
			break;
		case 2:
			have_child(talker);
			break;
		case 3:
			expect(rota_yield(), ==, 0);
			break;
		default:
			exchange(talker);
		}
		stress_moved();
	}
	expect(rota_shutdown(talker->fd, SHUT_WR), ==, 0);
	unsigned char byte;
	expect(rota_recv(talker->fd, &byte, 1, 0), ==, 0);
	return 0;
}

static void talker_start(struct talker *talker, rota_task **ret_task)
{
	int ends[2];

	expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
	talker->fd = ends[0];
	talker->other_fd = ends[1];
	expect(rota_spawn_on(talker->rt, &talker->answerer, answer, talker), ==, 0);
	expect(rota_spawn_on(talker->rt, ret_task, talk, talker), ==, 0);
}

static void talker_end(struct talker *talker, rota_task *task)
{
	int status = -1;

	expect(rota_join(task, &status), ==, 0);
	expect(status, ==, 0);
	expect(rota_join(talker->answerer, NULL), ==, 0);
	close(talker->fd);
	close(talker->other_fd);
}

static void one_round(struct stress_random *random)
{
	static const unsigned rings[] = { 2, 4, 256 };
	const struct rota_config config = {
		.workers = 1 + stress_below(random, 4),
		.ring_entries = rings[stress_below(random, 3)],
		.stall_ns = ROTA_US(200 + stress_below(random, 1000)),
		.seed = 1 + stress_below(random, 1000),
	};
	struct talker talkers[TALKERS];
	rota_task *tasks[TALKERS];
	struct rota_metrics metrics;

	expect(rota_runtime_new(&runtime, &config), ==, 0);
	for (unsigned i = 0; i < TALKERS; i++) {
		talkers[i] = (struct talker){ .rt = runtime,
					      .random = { stress_next(random) },
					      .answers = stress_next(random) };
		talker_start(&talkers[i], &tasks[i]);
	}
	for (unsigned i = 0; i < TALKERS; i++)
		talker_end(&talkers[i], tasks[i]);
	rota_runtime_metrics(runtime, &metrics);
	rota__fetch_add(&spare_calls, metrics.spare_calls, RELAXED);
	expect(rota_runtime_shutdown(runtime, ROTA_NEVER), ==, 0);
	rota_runtime_free(runtime);
}

int main(int argc, char **argv)
{
	struct stress_random random;
	unsigned descriptors;

	setenv("ROTA_FLAVOR", "multi_thread", 1);
	stress_start(argc, argv, report);
	random = stress_random_new(0);
	descriptors = stress_descriptors();
	for (unsigned round = 0; round < ROUNDS * stress_scale; round++) {
		one_round(&random);
		expect(stress_descriptors(), ==, descriptors);
	}
	expect(rota__load(&spare_calls, RELAXED), >, 0);
	return 0;
}
