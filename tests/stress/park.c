/* SPDX-License-Identifier: MIT */
/*
 * Workers that fall asleep all the time, and threads outside the pool that have something for them at random moments:
 * new tasks, wakes of tasks that may run anywhere, wakes of tasks that may run on one worker only, timers of their own.
 * Now and then a computation keeps a worker busy, so that the reactor steps in. Each request must be answered before
 * its thread goes on: a lost wake-up stands still, and the watchdog says what it sees.
 */
#define _GNU_SOURCE
#include "runtime_report.h"
#include "semaphore.h"

#define CLIENTS 3u
#define REQUESTS STRESS_FEWER(1500u) /* of each client, in each round */

static rota_runtime *runtime_now;
static struct rota_atomic_u32 answered;

struct client {
	rota_runtime *rt;
	struct stress_random random;
	struct semaphore answer;          /* the client waits for this */
	struct semaphore to_any, to_home; /* its servants wait for these */
};

static void report(void)
{
	if (runtime_now != NULL)
		runtime_report(runtime_now);
}

static void answer(struct client *client)
{
	rota__fetch_add(&answered, 1, RELAXED);
	semaphore_up(&client->answer);
}

static int answer_at_once(void *arg)
{
	answer(arg);
	return 0;
}

static int compute(void *arg)
{
	struct client *client = arg;
	const uint64_t until = rota_now() + ROTA_US(100) + rota_now() % ROTA_MS(2);

	while (rota_now() < until)
		rota__cpu_relax();
	answer(client);
	return 0;
}

/* Servants: fibers that answer until they are cancelled. */
static int serve_any(void *arg)
{
	struct client *client = arg;

	while (semaphore_down(&client->to_any) == 0)
		answer(client);
	return 0;
}

static int serve_home(void *arg)
{
	struct client *client = arg;

	while (semaphore_down(&client->to_home) == 0)
		answer(client);
	return 0;
}

static int hire(void *arg)
{
	struct client *client = arg;
	rota_task *any, *home;

	expect(rota_spawn(&any, serve_any, client), ==, 0);
	expect(rota_spawn_local(&home, serve_home, client), ==, 0);
	rota_detach(any);
	rota_detach(home);
	answer(client);
	return 0;
}

static void sleep_a_moment(struct client *client)
{
	const uint64_t deadline = rota_now() + stress_below(&client->random, 200000);
	struct rota_timer timer;

	rota_timer_init(&timer, deadline);
	expect(rota_block_on_future(client->rt, &timer.future), ==, 0);
	expect(rota_now(), >=, deadline);
}

/* Asks for something. How many answers it will be. */
static unsigned request(struct client *client)
{
	unsigned n;

	switch (stress_below(&client->random, 16)) {
	case 0:
		expect(rota_spawn_on(client->rt, NULL, compute, client), ==, 0);
		return 1;
	case 1:
		sleep_a_moment(client);
		return 0;
	case 2:
	case 3:
	case 4:
		n = 1 + stress_below(&client->random, 8);
		for (unsigned i = 0; i < n; i++)
			expect(rota_spawn_on(client->rt, NULL, answer_at_once, client), ==, 0);
		return n;
	case 5:
	case 6:
	case 7:
	case 8:
		semaphore_up(&client->to_any);
		return 1;
	default:
		semaphore_up(&client->to_home);
		return 1;
	}
}

static void *be_client(void *arg)
{
	struct client *client = arg;

	expect(rota_spawn_on(client->rt, NULL, hire, client), ==, 0);
	expect(semaphore_down(&client->answer), ==, 0);
	for (unsigned i = 0; i < REQUESTS; i++) {
		for (unsigned n = request(client); n > 0; n--)
			expect(semaphore_down(&client->answer), ==, 0);
		stress_moved();
		stress_pause(&client->random);
	}
	return NULL;
}

struct party {
	struct client clients[CLIENTS];
	struct semaphore gone;
};

static void *be_last_client(void *arg)
{
	struct party *party = arg;
	struct stress_threads threads = { .n = 0 };

	for (unsigned i = 0; i < CLIENTS; i++)
		stress_thread(&threads, be_client, &party->clients[i]);
	stress_join(&threads);
	semaphore_up(&party->gone);
	return NULL;
}

static int until_all_are_gone(void *arg)
{
	return semaphore_down(&((struct party *)arg)->gone);
}

static void round_of(struct stress_random *random, enum rota_flavor flavor, unsigned workers)
{
	const struct rota_config config = { .workers = workers, .flavor = flavor, .seed = stress_next(random) | 1 };
	struct party party = { .gone = { .count = 0 } };
	struct stress_threads threads = { .n = 0 };
	rota_runtime *rt;

	expect(rota_runtime_new(&rt, &config), ==, 0);
	runtime_now = rt;
	for (unsigned i = 0; i < CLIENTS; i++) {
		party.clients[i].rt = rt;
		party.clients[i].random = stress_random_new(stress_next(random));
	}
	stress_thread(&threads, be_last_client, &party);
	expect(rota_block_on(rt, until_all_are_gone, &party), ==, 0);
	stress_join(&threads);
	for (unsigned i = 0; i < CLIENTS; i++)
		expect(party.clients[i].answer.count, ==, 0);
	expect(rota_runtime_shutdown(rt, ROTA_NEVER), ==, 0);
	runtime_now = NULL;
	rota_runtime_free(rt);
}

int main(int argc, char **argv)
{
	struct stress_random random;

	unsetenv("ROTA_FLAVOR");
	stress_start(argc, argv, report);
	random = stress_random_new(0);
	for (unsigned i = 0; i < stress_scale; i++) {
		for (unsigned workers = 1; workers <= 4; workers++)
			round_of(&random, ROTA_FLAVOR_MULTI_THREAD, workers);
		round_of(&random, ROTA_FLAVOR_CURRENT_THREAD, 1);
	}
	printf("%u requests answered\n", rota__load(&answered, RELAXED));
	return 0;
}
