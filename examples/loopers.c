/* SPDX-License-Identifier: MIT */
/*
 * Three loopers, each of which prints `[n] i` a few times, joined.
 *
 *   loopers serial     tasks of one thread that never wait: each runs to its end before the next begins
 *   loopers yield      the same with a yield after each line: strictly interleaved
 *   loopers blocking   functions that block, on threads of the pool: at the same time
 *   loopers            all three
 *
 * The first two check the order that they claim, the third that no looper ran on the main thread.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rota.h>

enum { LOOPERS = 3, TURNS = 5, LINES = LOOPERS * TURNS };

struct stage {
	_Atomic unsigned lines;
	int order[LINES]; /* which looper printed each line */
	pid_t main_thread;
	_Atomic unsigned on_main_thread;
	_Atomic unsigned running, most_running;
};

struct looper {
	struct stage *stage;
	int number;
};

struct mode {
	const char *name;
	rota_fn *body;
	int (*spawn)(rota_task **ret_task, rota_fn *fn, void *arg);
	bool (*holds)(const struct stage *stage);
	const char *claim;
};

static void print_turn(struct looper *looper, int turn)
{
	looper->stage->order[atomic_fetch_add(&looper->stage->lines, 1)] = looper->number;
	printf("[%d] %d\n", looper->number, turn);
}

static int serial_looper(void *arg)
{
	for (int turn = 0; turn < TURNS; turn++)
		print_turn(arg, turn);
	return 0;
}

static int yielding_looper(void *arg)
{
	int rc = 0;

	for (int turn = 0; turn < TURNS && rc == 0; turn++) {
		print_turn(arg, turn);
		rc = rota_yield();
	}
	return rc;
}

static void enter(struct stage *stage)
{
	unsigned running = atomic_fetch_add(&stage->running, 1) + 1;
	unsigned most = atomic_load(&stage->most_running);

	while (running > most && !atomic_compare_exchange_weak(&stage->most_running, &most, running))
		;
	if (gettid() == stage->main_thread)
		atomic_fetch_add(&stage->on_main_thread, 1);
}

static int blocking_looper(void *arg)
{
	static const struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };
	struct looper *looper = arg;

	enter(looper->stage);
	for (int turn = 0; turn < TURNS; turn++) {
		print_turn(looper, turn);
		nanosleep(&pause, NULL); /* blocks the thread; cut short by a signal it does no harm */
	}
	atomic_fetch_sub(&looper->stage->running, 1);
	return 0;
}

/* The lines of each looper follow one another. */
static bool is_serial(const struct stage *stage)
{
	for (int i = 0; i < LINES; i++)
		if (stage->order[i] != stage->order[i - i % TURNS])
			return false;
	return true;
}

/* Every looper has one line in each turn, always in the same order. */
static bool is_interleaved(const struct stage *stage)
{
	for (int i = 0; i < LINES; i++)
		for (int k = 0; k < i; k++)
			if ((stage->order[i] == stage->order[k]) != (i % LOOPERS == k % LOOPERS))
				return false;
	return true;
}

static bool is_off_main_thread(const struct stage *stage)
{
	return stage->on_main_thread == 0;
}

static const struct mode modes[] = {
	{ "serial", serial_looper, rota_spawn, is_serial, "each looper ran to its end before the next began" },
	{ "yield", yielding_looper, rota_spawn, is_interleaved, "the loopers took strict turns" },
	{ "blocking", blocking_looper, rota_spawn_blocking, is_off_main_thread, "pool threads ran the loopers" },
};
enum { MODES = sizeof(modes) / sizeof(modes[0]) };

static int join_loopers(rota_task **tasks, int count, int rc)
{
	for (int i = 0; i < count; i++) {
		int status = 0, joined = rota_join(tasks[i], &status);

		joined = joined < 0 ? joined : status;
		rc = rc < 0 ? rc : joined;
	}
	return rc;
}

static int run_mode(void *arg)
{
	const struct mode *mode = arg;
	struct stage stage = { .main_thread = getpid() };
	struct looper loopers[LOOPERS];
	rota_task *tasks[LOOPERS];
	int spawned = 0, rc = 0;

	for (; spawned < LOOPERS && rc == 0; spawned += rc == 0) {
		loopers[spawned] = (struct looper){ &stage, spawned + 1 };
		rc = mode->spawn(&tasks[spawned], mode->body, &loopers[spawned]);
	}
	rc = join_loopers(tasks, spawned, rc);
	if (rc < 0)
		return rc;
	if (!mode->holds(&stage)) {
		fprintf(stderr, "loopers %s: not so: %s\n", mode->name, mode->claim);
		return -EPROTO;
	}
	printf("%s", mode->claim);
	if (mode->body == blocking_looper)
		printf(", %u at the same time", stage.most_running);
	printf("\n");
	return 0;
}

static int run_mode_on_one_thread(const struct mode *mode)
{
	const struct rota_config config = { .flavor = ROTA_FLAVOR_CURRENT_THREAD };
	rota_runtime *rt;
	int rc = rota_runtime_new(&rt, &config);

	if (rc < 0)
		return rc;
	printf("%s:\n", mode->name);
	rc = rota_block_on(rt, run_mode, (void *)mode);
	rota_runtime_free(rt);
	return rc;
}

int main(int argc, char **argv)
{
	bool found = false;
	int rc = 0;

	for (int i = 0; i < MODES && rc == 0 && argc <= 2; i++) {
		if (argc > 1 && strcmp(argv[1], modes[i].name) != 0)
			continue;
		found = true;
		rc = run_mode_on_one_thread(&modes[i]);
	}
	if (!found) {
		fprintf(stderr, "usage: %s [serial|yield|blocking]\n", argv[0]);
		return 2;
	}
	if (rc >= 0 && fflush(stdout) != 0)
		rc = -errno;
	if (rc < 0)
		fprintf(stderr, "loopers: %s\n", strerror(-rc));
	return rc < 0 ? 1 : 0;
}
