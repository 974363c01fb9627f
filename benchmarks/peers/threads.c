/* SPDX-License-Identifier: MIT */
/*
 * Plain threads beside benchmarks/spawn.c, yield.c, pingpong.c, mutex.c, mpsc.c, wake.c and the tickers of hogs.c, with what
 * pthreads have: threads-peer WORKLOAD --round [--NAME VALUE]... runs one round and prints lines of `name value unit`. Where
 * the others have 10,000 tasks there are 1,000 threads at a time here. Exit code 77: no such workload here.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "option.h"

enum { THREADS_MAX = 1000, RING = 1024, SAMPLES_MAX = 1 << 20 };

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void check(int rc, const char *what)
{
	if (rc != 0) {
		fprintf(stderr, "threads-peer: %s: %s\n", what, strerror(rc));
		exit(1);
	}
}

static double repeat(uint64_t ms, void (*step)(void))
{
	uint64_t elapsed, steps = 0, start = now_ns();

	do {
		step();
		steps++;
		elapsed = now_ns() - start;
	} while (elapsed < ms * 1000000);
	return (double)elapsed / (double)steps;
}

/* Calls step through the warm-up and then through the round; nanoseconds per step of the latter. */
static double timed(void (*step)(void))
{
	repeat(option("warmup-ms", 200), step);
	return repeat(option("round-ms", 500), step);
}

static uint64_t thread_count;

/* That many threads at once. */
static void crowd(void *(*work)(void *))
{
	pthread_t threads[THREADS_MAX];

	for (uint64_t i = 0; i < thread_count; i++)
		check(pthread_create(&threads[i], NULL, work, NULL), "create");
	for (uint64_t i = 0; i < thread_count; i++)
		check(pthread_join(threads[i], NULL), "join");
}

static uint64_t at_most(uint64_t n)
{
	return n < THREADS_MAX ? n : THREADS_MAX;
}

/* --- spawn, yield --------------------------------------------------------------------------------------------------- */

static void *nothing(void *arg)
{
	return arg;
}

static void spawn_step(void)
{
	crowd(nothing);
}

static void spawn(void)
{
	thread_count = at_most(option("tasks", 10000));
	printf("spawn_join %g ns\n", timed(spawn_step) / (double)thread_count);
}

static uint64_t turns;

static void *yielder(void *arg)
{
	for (uint64_t i = 0; i < turns; i++)
		sched_yield();
	return arg;
}

static void yield_step(void)
{
	crowd(yielder);
}

static void yield(void)
{
	turns = option("yields", 1000);
	thread_count = at_most(option("tasks", 200));
	printf("yield_many %g ns\n", timed(yield_step) / (double)(thread_count * turns));
	thread_count = 1;
	printf("yield_one %g ns\n", timed(yield_step) / (double)turns);
}

/* --- a channel, as one writes it with a mutex and two condition variables ------------------------------------------------ */

struct channel {
	pthread_mutex_t lock;
	pthread_cond_t not_empty, not_full;
	uint64_t ring[RING];
	unsigned capacity, first, count;
};

#define CHANNEL_INIT(n) \
	{ \
		PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER, { 0 }, n, 0, 0 \
	}

static void channel_send(struct channel *c, uint64_t value)
{
	pthread_mutex_lock(&c->lock);
	while (c->count == c->capacity)
		pthread_cond_wait(&c->not_full, &c->lock);
	c->ring[(c->first + c->count++) % RING] = value;
	pthread_mutex_unlock(&c->lock);
	pthread_cond_signal(&c->not_empty);
}

static uint64_t channel_recv(struct channel *c)
{
	uint64_t value;

	pthread_mutex_lock(&c->lock);
	while (c->count == 0)
		pthread_cond_wait(&c->not_empty, &c->lock);
	value = c->ring[c->first++ % RING];
	c->count--;
	pthread_mutex_unlock(&c->lock);
	pthread_cond_signal(&c->not_full);
	return value;
}

static struct channel ping = CHANNEL_INIT(1), pong = CHANNEL_INIT(1), many = CHANNEL_INIT(RING);

static void *other_player(void *arg)
{
	for (uint64_t i = 0; i < turns; i++)
		channel_send(&pong, channel_recv(&ping) + 1);
	return arg;
}

static void pingpong_step(void)
{
	pthread_t other;

	check(pthread_create(&other, NULL, other_player, NULL), "create");
	for (uint64_t i = 0; i < turns; i++) {
		channel_send(&ping, i);
		channel_recv(&pong);
	}
	check(pthread_join(other, NULL), "join");
}

static void pingpong(void)
{
	turns = option("trips", 1000);
	printf("pingpong %g ns\n", timed(pingpong_step) / (double)turns);
}

static void *producer(void *arg)
{
	for (uint64_t i = 0; i < turns; i++)
		channel_send(&many, i);
	return arg;
}

static void *consumer(void *arg)
{
	for (uint64_t i = 0; i < turns * thread_count; i++)
		channel_recv(&many);
	return arg;
}

static void mpsc_step(void)
{
	pthread_t reader;

	check(pthread_create(&reader, NULL, consumer, NULL), "create");
	crowd(producer);
	check(pthread_join(reader, NULL), "join");
}

static void mpsc(void)
{
	turns = option("messages", 10000);
	thread_count = at_most(option("producers", 4));
	printf("mpsc %g ns\n", timed(mpsc_step) / (double)(turns * thread_count));
}

/* --- mutex -------------------------------------------------------------------------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t counter;

static void *locker(void *arg)
{
	for (uint64_t i = 0; i < turns; i++) {
		pthread_mutex_lock(&lock);
		counter++;
		pthread_mutex_unlock(&lock);
	}
	return arg;
}

static void lock_alone(void)
{
	locker(NULL);
}

static void lock_step(void)
{
	crowd(locker);
}

static void *bystander(void *arg)
{
	pause();
	return arg;
}

static void mutex(void)
{
	pthread_t thread;

	/* In a process of one thread glibc locks without an atomic operation. Who has a mutex has threads. */
	check(pthread_create(&thread, NULL, bystander, NULL), "create");
	turns = option("locks", 1000);
	thread_count = at_most(option("tasks", 64));
	printf("mutex_uncontended %g ns\n", timed(lock_alone) / (double)turns);
	printf("mutex %g ns\n", timed(lock_step) / (double)(thread_count * turns));
}

/* --- wake --------------------------------------------------------------------------------------------------------------- */

static atomic_bool stop;
static uint64_t *samples;

static void *spinner(void *arg)
{
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		uint64_t until = now_ns() + 50000;

		while (now_ns() < until)
			;
		sched_yield();
	}
	return arg;
}

/* Answers how late it runs. */
static void *sleeper(void *arg)
{
	uint64_t woken;

	while ((woken = channel_recv(&ping)) != 0)
		channel_send(&pong, now_ns() - woken);
	return arg;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void measure_wakes(const char *beside, uint64_t spinners)
{
	uint64_t warm = now_ns() + option("warmup-ms", 200) * 1000000, end = warm + option("round-ms", 500) * 1000000,
		 now, random = 1;
	pthread_t sleeping, spinning[THREADS_MAX];
	size_t count = 0;

	atomic_store(&stop, false);
	check(pthread_create(&sleeping, NULL, sleeper, NULL), "create");
	for (uint64_t i = 0; i < spinners; i++)
		check(pthread_create(&spinning[i], NULL, spinner, NULL), "create");
	while ((now = now_ns()) < end) {
		struct timespec pause;
		uint64_t late;

		random = random * 6364136223846793005u + 1442695040888963407u;
		pause = (struct timespec){ .tv_nsec = 50000 + (long)((random >> 33) % 100000) };
		nanosleep(&pause, NULL);
		channel_send(&ping, now_ns());
		late = channel_recv(&pong);
		if (now >= warm && count < SAMPLES_MAX)
			samples[count++] = late;
	}
	channel_send(&ping, 0);
	check(pthread_join(sleeping, NULL), "join");
	atomic_store(&stop, true);
	for (uint64_t i = 0; i < spinners; i++)
		check(pthread_join(spinning[i], NULL), "join");
	qsort(samples, count, sizeof(*samples), compare);
	if (count == 0)
		return;
	printf("wake_thread_%s_p50 %g us\n", beside, (double)samples[count / 2] / 1e3);
	printf("wake_thread_%s_p99 %g us\n", beside, (double)samples[(count - 1) * 99 / 100] / 1e3);
}

static void wake(void)
{
	samples = calloc(SAMPLES_MAX, sizeof(*samples));
	check(samples ? 0 : ENOMEM, "memory");
	measure_wakes("idle", 0);
	measure_wakes("busy", at_most(option("workers", 2)));
	free(samples);
}

/* --- hogs --------------------------------------------------------------------------------------------------------------- */

static void *hog(void *arg)
{
	while (!atomic_load_explicit(&stop, memory_order_relaxed))
		;
	return arg;
}

static void report_lateness(uint64_t hogs, size_t count)
{
	qsort(samples, count, sizeof(*samples), compare);
	printf("ticker_%llu_p50 %g us\n", (unsigned long long)hogs, (double)samples[count / 2] / 1e3);
	printf("ticker_%llu_p99 %g us\n", (unsigned long long)hogs, (double)samples[(count - 1) * 99 / 100] / 1e3);
}

/* What the machine itself makes of a thread that sleeps until each millisecond, beside threads that compute. */
static void ticker(uint64_t hogs, size_t ticks)
{
	pthread_t threads[THREADS_MAX];
	uint64_t due;

	atomic_store(&stop, false);
	for (uint64_t i = 0; i < hogs; i++)
		check(pthread_create(&threads[i], NULL, hog, NULL), "create");
	due = now_ns() + option("warmup-ms", 200) * 1000000;
	for (size_t i = 0; i < ticks; i++) {
		const struct timespec until = { (time_t)(due / 1000000000), (long)(due % 1000000000) };

		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
			;
		samples[i] = now_ns() - due;
		due += samples[i] / 1000000 * 1000000 + 1000000; /* what was missed is left out */
	}
	atomic_store(&stop, true);
	for (uint64_t i = 0; i < hogs; i++)
		check(pthread_join(threads[i], NULL), "join");
	report_lateness(hogs, ticks);
}

static void hogs(void)
{
	const uint64_t most = at_most(option("hogs", 2)), ticks = option("ticks", 3000);

	samples = calloc(SAMPLES_MAX, sizeof(*samples));
	check(samples && ticks > 0 && ticks <= SAMPLES_MAX ? 0 : EINVAL, "ticks");
	for (uint64_t n = 0; n <= most; n++)
		ticker(n, ticks);
	free(samples);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} workloads[] = { { "spawn", spawn }, { "yield", yield }, { "pingpong", pingpong }, { "mpsc", mpsc },
			  { "mutex", mutex }, { "wake", wake },   { "hogs", hogs } };

	option_init(argc, argv);
	for (size_t i = 0; argc >= 2 && i < sizeof(workloads) / sizeof(workloads[0]); i++) {
		if (strcmp(argv[1], workloads[i].name) == 0) {
			workloads[i].run();
			return 0;
		}
	}
	return 77;
}
