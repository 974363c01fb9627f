/* SPDX-License-Identifier: MIT */
/*
 * Forked work beside I/O: echo connections whose clients send at a fixed rate, and a task that computes fib without end
 * and never waits, while the other worker steals from it. Each alone, then both: what becomes of the latency, and how
 * much of its speed fib loses. The rate is fixed because both want the same CPUs: what the echo takes must be the same
 * whether it is alone or not. Latency counts from when a message is due, so a client that is late itself counts too.
 */
#include <errno.h>
#include <stdatomic.h>

#include "fib.h"
#include "hall.h"
#include "harness.h"

static struct bench_param params[] = {
	{ "clients", 1000, 50, "of the echo" },
	{ "pause-ms", 100, 10, "between two messages of a client" },
	{ "fib", 32, 20, "n of the fib that is computed again and again" },
	{ NULL, 0, 0, NULL },
};

struct endless {
	atomic_bool stop;
	_Atomic uint64_t done; /* computations */
	rota_task *task;
};

/* Never waits nor yields. */
static int compute(void *arg)
{
	struct endless *endless = arg;
	const unsigned n = (unsigned)bench_param("fib");
	const uint64_t expected = fib_by_sum(n);

	while (!atomic_load_explicit(&endless->stop, memory_order_relaxed)) {
		if (fib(n) != expected)
			return -EPROTO;
		atomic_fetch_add_explicit(&endless->done, 1, memory_order_relaxed);
	}
	return 0;
}

static int stop(struct endless *endless, int rc)
{
	int status = 0, joined;

	atomic_store_explicit(&endless->stop, true, memory_order_relaxed);
	joined = rota_join(endless->task, &status);
	joined = joined < 0 ? joined : status;
	return rc < 0 ? rc : joined;
}

/* Computations of fib in a second, alone. */
static int alone(double *ret)
{
	struct endless endless = { .done = 0 };
	uint64_t start, done;
	int rc = rota_spawn(&endless.task, compute, &endless);

	if (rc < 0)
		return rc;
	rc = rota_sleep(ROTA_MS(bench_param("warmup-ms")));
	start = rota_now();
	done = atomic_load(&endless.done);
	if (rc == 0)
		rc = rota_sleep(ROTA_MS(bench_param("round-ms")));
	*ret = (double)(atomic_load(&endless.done) - done) * 1e9 / (double)(rota_now() - start);
	return stop(&endless, rc);
}

static int echo(struct bench_hall *hall)
{
	*hall = (struct bench_hall){ .pause_ns = ROTA_MS(bench_param("pause-ms")) };
	return bench_hall_run((size_t)bench_param("clients"), 64, hall);
}

/* Both: the speed counts connecting, too, which is the harder part. */
static int beside(struct bench_hall *hall, double *ret)
{
	struct endless endless = { .done = 0 };
	uint64_t start = rota_now();
	int rc = rota_spawn(&endless.task, compute, &endless);

	if (rc < 0)
		return rc;
	rc = echo(hall);
	*ret = (double)atomic_load(&endless.done) * 1e9 / (double)(rota_now() - start);
	return stop(&endless, rc);
}

static int inside(void *arg)
{
	struct bench_hall quiet = { 0 }, loud = { 0 };
	double free_speed = 0, shared_speed = 0;
	int rc = echo(&quiet);

	(void)arg;
	if (rc == 0)
		rc = alone(&free_speed);
	if (rc == 0)
		rc = beside(&loud, &shared_speed);
	if (rc < 0)
		return rc;
	bench_report("echo_alone", quiet.trips_per_s, "rt/s");
	bench_report("echo_beside", loud.trips_per_s, "rt/s");
	bench_report("p99_alone", quiet.p99_us, "us");
	bench_report("p99_beside", loud.p99_us, "us");
	bench_report("p50_alone", quiet.p50_us, "us");
	bench_report("p50_beside", loud.p50_us, "us");
	bench_report("fib_alone", free_speed, "fib/s");
	bench_report("fib_beside", shared_speed, "fib/s");
	bench_report("fib_loses", 100 - shared_speed / free_speed * 100, "%");
	return 0;
}

static int round_of_mixed(void)
{
	int rc = bench_raise_fd_limit();

	return rc < 0 ? rc : bench_run(inside, NULL);
}

static const struct bench bench = {
	.name = "mixed",
	.about = "echo at a fixed rate beside endless forked work",
	.round = round_of_mixed,
	.params = params,
	.rounds = 5,
	.round_ms = 2000,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
