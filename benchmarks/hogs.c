/* SPDX-License-Identifier: MIT */
/*
 * What becomes of others beside tasks that compute without waiting: a ticker of 1 kHz beside 0, 1 and 2 hogs whose steps
 * take 100 ms, and echo clients beside 2 hogs of 7 ms. A hog yields after each step. A step is a fixed amount of work,
 * measured before: it takes longer where the CPU is shared.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>

#include "hall.h"
#include "harness.h"

enum { HOGS_MAX = 64, PIECE = 1000 };

static struct bench_param params[] = {
	{ "hogs", 2, 2, "at most" },
	{ "ticker-step-ms", 100, 20, "a step of the hogs beside the ticker" },
	{ "echo-step-ms", 7, 7, "a step of those beside the echo" },
	{ "ticks", 3000, 300, "of the ticker, one in a millisecond" },
	{ "clients", 50, 50, "of the echo; 0: no echo" },
	{ NULL, 0, 0, NULL },
};

struct den {
	unsigned hogs;
	uint64_t pieces; /* of work in a step */
	atomic_bool stop;
	_Atomic uint64_t steps;
	rota_task *hog[HOGS_MAX];
};

static _Atomic uint64_t sink;

static void work(uint64_t pieces)
{
	uint64_t state = pieces, sum = 0;

	for (uint64_t i = 0; i < pieces * PIECE; i++)
		sum ^= bench_random(&state);
	atomic_store_explicit(&sink, sum, memory_order_relaxed);
}

/* Pieces of work in a millisecond of a CPU that does nothing else: the best of some tries. */
static uint64_t pieces_per_ms(void)
{
	const uint64_t pieces = 200;
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 30; i++) {
		uint64_t start = rota_now(), ns;

		work(pieces);
		ns = rota_now() - start;
		best = ns < best ? ns : best;
	}
	return ROTA_MS(1) * pieces / best;
}

static int hog(void *arg)
{
	struct den *den = arg;
	int rc = 0;

	while (rc == 0 && !atomic_load_explicit(&den->stop, memory_order_relaxed)) {
		work(den->pieces);
		atomic_fetch_add_explicit(&den->steps, 1, memory_order_relaxed);
		rc = rota_yield();
	}
	return rc;
}

static int let_loose(struct den *den, unsigned hogs, uint64_t pieces)
{
	int rc = 0;

	*den = (struct den){ .pieces = pieces };
	for (; den->hogs < hogs && rc == 0; den->hogs += rc == 0)
		rc = rota_spawn(&den->hog[den->hogs], hog, den);
	return rc;
}

static int catch_all(struct den *den, int rc)
{
	atomic_store_explicit(&den->stop, true, memory_order_relaxed);
	for (unsigned i = 0; i < den->hogs; i++) {
		int status = 0, joined = rota_join(den->hog[i], &status);

		joined = joined < 0 ? joined : status;
		rc = rc < 0 ? rc : joined;
	}
	return rc;
}

/* --- the ticker ------------------------------------------------------------------------------------------------ */

struct ticking {
	unsigned hogs;
	uint64_t pieces;
};

static int tick(struct bench_histogram *lateness)
{
	uint64_t ticks = bench_param("ticks"), due = rota_now();
	int rc = 0;

	for (uint64_t i = 0; i < ticks && rc == 0; i++) {
		uint64_t now;

		due += ROTA_MS(1);
		rc = rota_sleep_until(due);
		now = rota_now();
		bench_histogram_add(lateness, now - due);
		if (now > due)
			due = now - (now - due) % ROTA_MS(1); /* what was missed is left out */
	}
	return rc;
}

static int run_ticker(void *arg)
{
	const struct ticking *ticking = arg;
	static struct bench_histogram lateness;
	struct den den;
	char name[48];
	int rc = let_loose(&den, ticking->hogs, ticking->pieces);

	if (rc == 0)
		rc = rota_sleep(ROTA_MS(bench_param("warmup-ms")));
	lateness = (struct bench_histogram){ .counts = { 0 } };
	if (rc == 0)
		rc = tick(&lateness);
	rc = catch_all(&den, rc);
	if (rc < 0)
		return rc;
	snprintf(name, sizeof(name), "ticker_%u_p50", ticking->hogs);
	bench_report(name, (double)bench_histogram_quantile(&lateness, 0.50) / 1e3, "us");
	snprintf(name, sizeof(name), "ticker_%u_p99", ticking->hogs);
	bench_report(name, (double)bench_histogram_quantile(&lateness, 0.99) / 1e3, "us");
	return 0;
}

/* --- echo ------------------------------------------------------------------------------------------------------- */

static int run_echo(void *arg)
{
	struct ticking *ticking = arg;
	struct bench_hall hall = { 0 };
	struct den den;
	uint64_t start = rota_now();
	int rc = let_loose(&den, ticking->hogs, ticking->pieces);

	if (rc == 0)
		rc = bench_hall_run((size_t)bench_param("clients"), 64, &hall);
	rc = catch_all(&den, rc);
	if (rc < 0)
		return rc;
	bench_report("echo", hall.trips_per_s, "rt/s");
	bench_report("echo_p50", hall.p50_us, "us");
	bench_report("echo_p99", hall.p99_us, "us");
	bench_report("echo_steps", (double)den.steps * 1e9 / (double)(rota_now() - start), "steps/s");
	return 0;
}

static int round_of_hogs(void)
{
	uint64_t hogs = bench_param("hogs"), per_ms = pieces_per_ms();
	struct ticking ticking = { .pieces = per_ms * bench_param("ticker-step-ms") };
	int rc = 0;

	if (hogs > HOGS_MAX)
		return -EINVAL;
	for (; ticking.hogs <= hogs && rc == 0; ticking.hogs++)
		rc = bench_run(run_ticker, &ticking);
	ticking = (struct ticking){ .hogs = (unsigned)hogs, .pieces = per_ms * bench_param("echo-step-ms") };
	if (rc == 0 && bench_param("clients") > 0)
		rc = bench_run(run_echo, &ticking);
	return rc;
}

static const struct bench bench = {
	.name = "hogs",
	.about = "a ticker, and echo, beside tasks that compute",
	.round = round_of_hogs,
	.params = params,
	.rounds = 5,
	.round_ms = 2000,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
