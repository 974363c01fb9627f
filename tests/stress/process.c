/* SPDX-License-Identifier: MIT */
/*
 * Short-lived children of several tasks, of which any may be cancelled at any moment, be it while it starts, reads, waits
 * or terminates; some are left alone. Sometimes there is no pidfd. In the end there is no child, no zombie and no
 * descriptor more than before, and each result is one that can be.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "runtime_report.h"
#include "stress.h"

/* The thread sanitizer keeps a handler back while its thread is in a system call that it does not know. */
#ifdef ROTA__TSAN
#define HAS_SIGNALS false
#else
#define HAS_SIGNALS true
#endif

#define TASKS 6u
#define CHILDREN 90u /* of each task */

static rota_runtime *runtime_now;
static struct rota_atomic_u32 ended, cancelled, cut, left_alone;

static void report(void)
{
	if (runtime_now != NULL)
		runtime_report(runtime_now);
}

static __attribute__((noinline)) bool no_child(void)
{
	siginfo_t info;

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD;
}

static void count(struct rota_atomic_u32 *counter)
{
	rota__fetch_add(counter, 1, RELAXED);
	stress_moved();
}

static char *const commands[][4] = {
	{ "true", NULL },
	{ "sh", "-c", "exit 5", NULL },
	{ "sh", "-c", "echo much; echo more >&2", NULL },
	{ "cat", NULL },
	{ "yes", NULL },
	{ "sleep", "1000", NULL },
};
#define ENDS 4u /* those that end by themselves */
#define COMMANDS 6u

struct parent {
	struct stress_random random;
	rota_task *task;
	struct rota_atomic_u32 done;
};

/* To its end, with its output. */
static void run(struct parent *parent, const struct rota_process_config *config)
{
	char out[64], err[64];
	struct rota_process_capture capture = {
		.in = "input",
		.in_len = 5,
		.out = out,
		.out_size = stress_below(&parent->random, sizeof(out)),
		.err = stress_one_in(&parent->random, 2) ? err : NULL,
		.err_size = sizeof(err),
	};
	int status = -1;
	int rc = rota_process_output(config, &capture, &status);

	expect(rc == 0 || rc == -ECANCELED || rc == -EMSGSIZE, ==, true);
	if (rc == 0)
		expect(WIFEXITED(status), ==, true);
	count(rc == 0 ? &ended : rc == -EMSGSIZE ? &cut : &cancelled);
}

/* By its handle: waited for, terminated, or left. */
static void handle(struct parent *parent, struct rota_process_config *config)
{
	struct rota_process process;
	int rc, status = -1;

	config->out = (struct rota_process_stream){ ROTA_PROCESS_PIPE, 0 };
	config->flags |= ROTA_PROCESS_KILL_ON_CLOSE;
	rc = rota_process_spawn(&process, config);
	expect(rc == 0 || rc == -ECANCELED, ==, true);
	if (rc < 0) {
		count(&cancelled);
		return;
	}
	if (stress_one_in(&parent->random, 3))
		rc = rota_process_wait(&process, &status);
	else if (stress_one_in(&parent->random, 2))
		rc = rota_process_terminate(&process, stress_below(&parent->random, 1000000), &status);
	else
		rc = -EBUSY;
	expect(rc == 0 || rc == -ECANCELED || rc == -EBUSY, ==, true);
	rota_process_close(&process);
	count(rc == 0 ? &ended : rc == -EBUSY ? &left_alone : &cancelled);
}

static int raise_children(void *arg)
{
	struct parent *parent = arg;
	struct stress_random *random = &parent->random;

	for (unsigned i = 0; i < CHILDREN && !rota_cancelled(); i++) {
		struct rota_process_config config = {
			.argv = commands[stress_below(random, ENDS)],
			.in = { ROTA_PROCESS_NULL, 0 },
			.out = { ROTA_PROCESS_NULL, 0 },
			.err = { ROTA_PROCESS_NULL, 0 },
			.flags = stress_one_in(random, 2) ? ROTA_PROCESS_NEW_GROUP : 0,
		};

		if (HAS_SIGNALS && stress_one_in(random, 8))
			rota__fault_arm(ROTA__FAULT_PIDFD, 1, -ENOSYS);
		if (stress_one_in(random, 2))
			run(parent, &config);
		else
			handle(parent, &config);
	}
	if (!rota_cancelled()) { /* something that only a cancel ends */
		struct rota_process_config config = { .argv = commands[ENDS + stress_below(random, COMMANDS - ENDS)],
						      .out = { ROTA_PROCESS_NULL, 0 } };

		expect(rota_process_run(&config, NULL), ==, -ECANCELED);
		count(&cancelled);
	}
	return 0;
}

/* Cancels each parent at some moment; a new one takes its place until enough have been. */
static int family(void *arg)
{
	struct stress_random *random = arg;
	struct parent parents[TASKS];

	for (unsigned turn = 0; turn < 4; turn++) {
		for (unsigned i = 0; i < TASKS; i++) {
			parents[i] = (struct parent){ .random = stress_random_new(stress_next(random)) };
			expect(rota_spawn(&parents[i].task, raise_children, &parents[i]), ==, 0);
		}
		for (unsigned i = 0; i < TASKS; i++) {
			rota_sleep(ROTA_US(stress_below(random, turn == 3 ? 300000 : 3000)));
			rota_cancel(parents[i].task);
		}
		for (unsigned i = 0; i < TASKS; i++)
			expect(rota_join(parents[i].task, NULL), ==, 0);
	}
	return 0;
}

static void round_of(struct stress_random *random, enum rota_flavor flavor)
{
	const struct rota_config config = { .workers = 1 + stress_below(random, 3), .flavor = flavor };
	const unsigned before = stress_descriptors();
	rota_runtime *rt;

	expect(rota_runtime_new(&rt, &config), ==, 0);
	runtime_now = rt;
	expect(rota_block_on(rt, family, random), ==, 0);
	expect(rota_runtime_shutdown(rt, ROTA_NEVER), ==, 0);
	runtime_now = NULL;
	rota_runtime_free(rt);
	rota__fault_arm(ROTA__FAULT_PIDFD, 0, 0);
	expect_eventually(no_child());
	expect_eventually(stress_descriptors() == before);
}

int main(int argc, char **argv)
{
	struct stress_random random;

	unsetenv("ROTA_FLAVOR");
	stress_start(argc, argv, report);
	random = stress_random_new(0);
	for (unsigned i = 0; i < 3 * stress_scale; i++)
		round_of(&random, i % 3 == 2 ? ROTA_FLAVOR_CURRENT_THREAD : ROTA_FLAVOR_MULTI_THREAD);
	printf("%u children ended, %u were cancelled, %u cut short, %u left alone\n", rota__load(&ended, RELAXED),
	       rota__load(&cancelled, RELAXED), rota__load(&cut, RELAXED), rota__load(&left_alone, RELAXED));
	return 0;
}
