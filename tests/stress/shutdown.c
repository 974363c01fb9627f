/* SPDX-License-Identifier: MIT */
/*
 * Runtimes that are shut down in the middle of everything: sleepers, spinners, waiters, spawners that go on until they
 * are refused, blocking jobs, stackless tasks, timers of plain threads, plain threads that spawn and join at that very
 * moment, or have just woken the last task. A spawn is refused or its task runs and ends, never neither; a shutdown
 * that had too little time is repeated; and no thread, no descriptor and no memory is left.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>

#include "../../runtime/alloc_internal.h"
#include "runtime_report.h"
#include "semaphore.h"

#define OUTSIDERS 3u
#define ROUNDS STRESS_FEWER(150)
#define ROUNDS_BEFORE (ROUNDS / 3) /* leaks are looked for: those make what stays */

static rota_runtime *runtime_now;
static struct rota_atomic_u32 ran, refused;

static void report(void)
{
	if (runtime_now != NULL)
		runtime_report(runtime_now);
}

static unsigned entries(const char *path)
{
	unsigned n = 0;
	DIR *dir = opendir(path);

	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

/* --- what goes on ------------------------------------------------------------------------------------------------------ */

static struct semaphore never_posted;

static int sleep_for_ever(void *arg)
{
	(void)arg;
	return rota_sleep(ROTA_NEVER);
}

static int sleep_again_and_again(void *arg)
{
	while (rota_sleep(1 + (uintptr_t)arg % 100000) == 0) {
	}
	return 0;
}

static int spin(void *arg)
{
	(void)arg;
	while (rota_yield() == 0) {
	}
	return 0;
}

static int wait_in_vain(void *arg)
{
	(void)arg;
	return semaphore_down(&never_posted);
}

static int work_a_little(void *arg)
{
	rota__fetch_add(&ran, 1, RELAXED);
	usleep((useconds_t)((uintptr_t)arg % 100));
	return 0;
}

static int offload_again_and_again(void *arg)
{
	int rc;

	do {
		rc = rota_offload(work_a_little, arg);
	} while (rc == 0);
	return rc;
}

/* Spawns until that is refused; those spawned do the same for a while. */
static int spread(void *arg)
{
	const uintptr_t left = (uintptr_t)arg;
	rota_task *task = NULL;
	int rc = 0;

	rota__fetch_add(&ran, 1, RELAXED);
	while (rc == 0 && left > 0) {
		rc = rota_spawn(&task, spread, (void *)(left / 2));
		if (rc == 0 && rota_join(task, NULL) < 0)
			rota_detach(task);
	}
	if (left > 0)
		expect(rc, ==, -ESHUTDOWN);
	return 0;
}

static struct rota_timer stackless[64];
static struct rota_atomic_u32 stackless_used;

static void start_one(struct stress_random *random)
{
	static rota_fn *const fns[] = { sleep_for_ever, sleep_again_and_again,   spin,
					wait_in_vain,   offload_again_and_again, spread };
	void *arg = (void *)(uintptr_t)stress_below(random, 1000);
	rota_task *task = NULL;
	uint32_t i;
	int rc;

	switch (stress_below(random, 8)) {
	case 0:
		i = rota__fetch_add(&stackless_used, 1, RELAXED);
		if (i >= 64)
			return;
		rota_timer_init(&stackless[i], rota_now() + stress_next(random) % ROTA_SECONDS(1000));
		rc = rota_spawn_future(&task, &stackless[i].future);
		break;
	case 1:
		rc = rota_spawn_blocking(&task, work_a_little, arg);
		break;
	case 2:
		rc = rota_spawn_local(&task, fns[stress_below(random, 6)], arg);
		break;
	default:
		rc = rota_spawn(&task, fns[stress_below(random, 6)], arg);
	}
	if (rc == 0)
		rota_detach(task);
	else
		expect(rc == -ESHUTDOWN || rc == -ECANCELED, ==, 1);
}

static int start_all(void *arg)
{
	struct stress_random *random = arg;

	for (unsigned n = stress_below(random, 60); n > 0; n--)
		start_one(random);
	return 0;
}

/* --- outsiders ----------------------------------------------------------------------------------------------------------- */

struct outsider {
	rota_runtime *rt;
	struct stress_random random;
	bool current_thread;
};

static int count_one(void *arg)
{
	rota__fetch_add(&ran, 1, RELAXED);
	rota__store((struct rota_atomic_u32 *)arg, 1, SEQ_CST);
	return 0;
}

/* One request; whether the runtime still takes any. */
static bool visit(struct outsider *me)
{
	struct rota_atomic_u32 done = { 0 };
	struct rota_timer timer;
	struct rota_join_op join;
	rota_task *task;
	int rc;

	switch (stress_below(&me->random, 4)) {
	case 0:
		rc = rota_block_on(me->rt, count_one, &done);
		if (me->current_thread && rc == -EBUSY)
			return true;
		break;
	case 1:
		rota_timer_init(&timer, rota_now() + stress_below(&me->random, 100000));
		rc = rota_block_on_future(me->rt, &timer.future);
		return rc == 0;
	default:
		rc = rota_spawn_on(me->rt, &task, count_one, &done);
		if (rc < 0)
			break;
		rota_join_init(&join, task);
		expect(rota_await(&join.future), ==, 0); /* hangs when the task was taken and never runs */
		expect(rota_join(task, NULL), ==, 0);
	}
	expect(rc == 0 || rc == -ESHUTDOWN, ==, 1);
	expect(rota__load(&done, SEQ_CST), ==, rc == 0);
	stress_moved();
	return rc == 0;
}

static void *come_and_go(void *arg)
{
	struct outsider *me = arg;

	while (visit(me))
		stress_pause(&me->random);
	rota__fetch_add(&refused, 1, RELAXED);
	return NULL;
}

/* --- the end ---------------------------------------------------------------------------------------------------------------- */

static int null_output;

/* What was too slow is reported on standard error, which is not wanted here. */
static int shut_down_quietly(rota_runtime *rt, uint64_t limit)
{
	int rc;

#if defined(ROTA__TSAN) || defined(ROTA__ASAN)
	return rota_runtime_shutdown(rt, limit); /* sanitizers report there too */
#endif
	expect_output_ = dup(STDERR_FILENO);
	dup2(null_output, STDERR_FILENO);
	rc = rota_runtime_shutdown(rt, limit);
	dup2(expect_output_, STDERR_FILENO);
	close(expect_output_);
	expect_output_ = STDERR_FILENO;
	return rc;
}

static void shut_down(struct stress_random *random, rota_runtime *rt)
{
	unsigned tries = 0;
	int rc;

	/* With too little time first. */
	do {
		const uint64_t limit = stress_one_in(random, 3) || tries > 3 ? ROTA_NEVER : stress_below(random, 2000);

		rc = shut_down_quietly(rt, limit);
		expect(rc == 0 || (rc == -ETIMEDOUT && limit != ROTA_NEVER), ==, 1);
		tries++;
	} while (rc < 0);
	expect(rota__runtime_alive(rt), ==, 0);
	expect(rota_runtime_shutdown(rt, 0), ==, 0);
}

/* --- a wake that outlasts the runtime ------------------------------------------------------------------------------------ */

struct farewell {
	struct rota_channel channel;
	struct rota_atomic_u32 begun;
	struct stress_random random;
};

static void *send_last_word(void *arg)
{
	struct farewell *farewell = arg;
	int word = 1;

	while (rota__load(&farewell->begun, SEQ_CST) == 0)
		sched_yield();
	stress_pause(&farewell->random);
	expect(rota_channel_send(&farewell->channel, &word), ==, 0);
	return NULL;
}

static int hear_last_word(void *arg)
{
	struct farewell *farewell = arg;
	int word;

	rota__store(&farewell->begun, 1, SEQ_CST);
	return rota_channel_recv(&farewell->channel, &word);
}

/* The only task ends by what an outsider sends, and the runtime is freed while that one is still on its way back. */
static void part(struct stress_random *random)
{
	const struct rota_config config = {
		.workers = 1,
		.flavor = stress_one_in(random, 4) ? ROTA_FLAVOR_CURRENT_THREAD : ROTA_FLAVOR_MULTI_THREAD,
	};
	struct farewell farewell = { .random = stress_random_new(stress_next(random)) };
	struct stress_threads threads = { .n = 0 };
	rota_runtime *rt;

	expect(rota_channel_init(&farewell.channel, sizeof(int), 1), ==, 0);
	expect(rota_runtime_new(&rt, &config), ==, 0);
	stress_thread(&threads, send_last_word, &farewell);
	expect(rota_block_on(rt, hear_last_word, &farewell), ==, 0);
	rota_runtime_free(rt);
	stress_join(&threads);
	rota_channel_deinit(&farewell.channel);
	stress_moved();
}

/* --- all of it ----------------------------------------------------------------------------------------------------------- */

static void round_of(struct stress_random *random)
{
	const struct rota_config config = {
		.workers = 1 + stress_below(random, 4),
		.flavor = stress_one_in(random, 4) ? ROTA_FLAVOR_CURRENT_THREAD : ROTA_FLAVOR_MULTI_THREAD,
		.max_blocking_threads = 1 + stress_below(random, 3),
		.max_blocking_queue = 1 + stress_below(random, 4),
	};
	struct stress_random start_random = stress_random_new(stress_next(random));
	struct outsider outsiders[OUTSIDERS];
	struct stress_threads threads = { .n = 0 };
	rota_runtime *rt;

	rota__store(&stackless_used, 0, RELAXED);
	expect(rota_runtime_new(&rt, &config), ==, 0);
	runtime_now = rt;
	if (!stress_one_in(random, 8))
		expect(rota_block_on(rt, start_all, &start_random), ==, 0);
	for (unsigned i = 0; i < OUTSIDERS; i++) {
		outsiders[i] = (struct outsider){
			.rt = rt,
			.random = stress_random_new(stress_next(random)),
			.current_thread = config.flavor == ROTA_FLAVOR_CURRENT_THREAD,
		};
		/* Without workers nothing would run until the shutdown, which runs what there is. */
		stress_thread(&threads, come_and_go, &outsiders[i]);
	}
	if (stress_one_in(random, 2))
		usleep(stress_below(random, 3000));
	shut_down(random, rt);
	stress_join(&threads);
	runtime_now = NULL;
	rota_runtime_free(rt);
	stress_moved();
}

int main(int argc, char **argv)
{
	struct stress_random random;
	unsigned descriptors = 0, threads = 0;
	size_t bytes = 0;

	null_output = open("/dev/null", O_WRONLY | O_CLOEXEC);
	unsetenv("ROTA_FLAVOR");
	stress_start(argc, argv, report);
	random = stress_random_new(0);
	for (unsigned round = 0; round < ROUNDS * stress_scale; round++) {
		round_of(&random);
		part(&random);
		/* Parkers stay, as many as there were threads at once. */
		if (round == ROUNDS_BEFORE) {
			descriptors = entries("/proc/self/fd");
			threads = entries("/proc/self/task");
			bytes = rota__alloc_bytes();
		}
	}
	expect(entries("/proc/self/fd"), ==, descriptors);
	/* Detached threads end a moment later, some of them after they were counted above. */
	expect_eventually(entries("/proc/self/task") <= threads);
	expect(rota__alloc_bytes(), <=, bytes + 64 * 1024);
	printf("%u tasks ran, %u outsiders were refused\n", rota__load(&ran, RELAXED), rota__load(&refused, RELAXED));
	return 0;
}
