/* SPDX-License-Identifier: MIT */
/*
 * What stress programs share. A run is told by its seed, which is printed first:
 *
 *   stress_NAME [SEED [SCALE]]     ROTA_STRESS_SEED=SEED ROTA_STRESS_SCALE=SCALE stress_NAME
 *
 * The work is bounded: SCALE 1 is a second or two, SCALE n is n times as much. A check that fails prints both sides
 * and exits with 1. So does the watchdog when nothing moves for a long time, after a report of what there was to see.
 */
#ifndef TESTS_STRESS_H
#define TESTS_STRESS_H

#ifndef _GNU_SOURCE
#error "define _GNU_SOURCE first"
#endif

#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <rota.h>

#include "../../runtime/atomic_internal.h"
#include "../../runtime/sys_internal.h"
#include "../expect.h"

#define STRESS_MAX_THREADS 64

/* Work that makes many fibers is slow under the thread sanitizer. */
#ifdef ROTA__TSAN
#define STRESS_FEWER(n) ((n) / 16)
#else
#define STRESS_FEWER(n) (n)
#endif

static uint64_t stress_seed;
static unsigned stress_scale = 1;

/* --- random numbers: each thread has its own --------------------------------------------------------------------- */

struct stress_random {
	uint64_t state;
};

/* The n-th source of this run. */
static inline struct stress_random stress_random_new(uint64_t n)
{
	return (struct stress_random){ (stress_seed + 1) * 0x9e3779b97f4a7c15u + n * 0xd1342543de82ef95u };
}

static inline uint64_t stress_next(struct stress_random *random)
{
	uint64_t z = random->state += 0x9e3779b97f4a7c15u; /* splitmix64 */

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* A number from 0 to n - 1. */
static inline uint32_t stress_below(struct stress_random *random, uint32_t n)
{
	return (uint32_t)((stress_next(random) >> 32) * n >> 32);
}

static inline bool stress_one_in(struct stress_random *random, uint32_t n)
{
	return stress_below(random, n) == 0;
}

/* Lets time pass: mostly none, sometimes so much that others fall asleep. */
static inline void stress_pause(struct stress_random *random)
{
	uint32_t dice = stress_below(random, 64);

	if (dice < 40)
		return;
	if (dice < 60) {
		for (uint32_t n = stress_below(random, 400); n > 0; n--)
			rota__cpu_relax();
	} else if (dice < 63) {
		sched_yield();
	} else {
		usleep(stress_below(random, 200));
	}
}

/* --- the watchdog -------------------------------------------------------------------------------------------------- */

static struct rota_atomic_u64 stress_moves;
static void (*stress_report)(void);

/* Something was done: the watchdog starts anew. */
static inline void stress_moved(void)
{
	rota__fetch_add(&stress_moves, 1, RELAXED);
}

static void *stress_watch(void *arg)
{
	uint64_t seen = 0;
	unsigned seconds = 0;
	sigset_t all;

	(void)arg;
	sigfillset(&all); /* a signal would cut its seconds short */
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	while (seconds < EXPECT_HANG_S) {
		uint64_t moves = rota__load(&stress_moves, RELAXED);

		seconds = moves == seen ? seconds + 1 : 0;
		seen = moves;
		sleep(1);
	}
	fflush(stdout);
	dprintf(expect_output_, "nothing has moved for %d s, after %" PRIu64 " moves (seed %" PRIu64 ")\n",
		EXPECT_HANG_S, seen, stress_seed);
	if (stress_report != NULL)
		stress_report();
	_exit(1);
}

/* --- threads --------------------------------------------------------------------------------------------------------- */

struct stress_threads {
	pthread_t thread[STRESS_MAX_THREADS];
	unsigned n;
};

static inline void stress_thread(struct stress_threads *threads, void *(*body)(void *arg), void *arg)
{
	expect(threads->n, <, STRESS_MAX_THREADS);
	expect(pthread_create(&threads->thread[threads->n++], NULL, body, arg), ==, 0);
}

static inline void stress_join(struct stress_threads *threads)
{
	while (threads->n > 0)
		expect(pthread_join(threads->thread[--threads->n], NULL), ==, 0);
}

/* --- main ------------------------------------------------------------------------------------------------------------ */

static inline uint64_t stress_setting(int argc, char **argv, int at, const char *variable, uint64_t otherwise)
{
	const char *text = argc > at ? argv[at] : getenv(variable);

	return text != NULL && *text != '\0' ? strtoull(text, NULL, 0) : otherwise;
}

/* Call first. `report` (NULL: none) prints to expect_output_ what a hang leaves to be seen. */
static inline void stress_start(int argc, char **argv, void (*report)(void))
{
	pthread_t watchdog;

	stress_seed = stress_setting(argc, argv, 1, "ROTA_STRESS_SEED", rota__sys_random() >> 32);
	stress_scale = (unsigned)stress_setting(argc, argv, 2, "ROTA_STRESS_SCALE", 1);
	stress_report = report;
	printf("seed %" PRIu64 " scale %u\n", stress_seed, stress_scale);
	fflush(stdout);
	expect(pthread_create(&watchdog, NULL, stress_watch, NULL), ==, 0);
	pthread_detach(watchdog);
}

/* Descriptors that are open. */
static inline unsigned stress_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

#endif
