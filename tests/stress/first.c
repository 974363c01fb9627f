/* SPDX-License-Identifier: MIT */
/*
 * What a process does only once, the first time that it is wanted: signals are chosen, handlers installed, threads of the
 * process made. So there are many processes here, and in each two runtimes want all of it in the same moment.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "runtime_report.h"
#include "stress.h"

enum { PROCESSES = 30, RUNTIMES = 2, OPENS = 3 };

static char fifo[64];
static rota_runtime *runtimes[RUNTIMES];
static pthread_barrier_t together;

static int open_fifo(void *arg)
{
	(void)arg;
	return rota_open(fifo, O_RDONLY, 0);
}

/* Nobody writes to it: only a cancel ends the open, which comes at about the time when a thread begins it. */
static int cut_off(void *arg)
{
	rota_task *task;
	int status;

	(void)arg;
	for (unsigned i = 0; i < OPENS; i++) {
		expect(rota_spawn(&task, open_fifo, NULL), ==, 0);
		rota_yield();
		rota_cancel(task);
		expect(rota_join(task, &status), ==, 0);
		expect(status, ==, -ECANCELED);
	}
	return 0;
}

static int answer(void *arg)
{
	(void)arg;
	return 42;
}

static int offload(void *arg)
{
	(void)arg;
	expect(rota_offload(answer, NULL), ==, 42);
	return 0;
}

static int take_signal(void *arg)
{
	struct rota_signal stream;

	(void)arg;
	expect(rota_signal_open(&stream, SIGUSR1), ==, 0);
	expect(kill(getpid(), SIGUSR1), ==, 0);
	expect(rota_signal_wait(&stream), ==, 0);
	rota_signal_close(&stream);
	return 0;
}

static int resolve(void *arg)
{
	struct rota_address address;

	(void)arg;
	/* By the lane's threads, since it is a name; whether the machine has it is all the same. */
	expect(rota_resolve("localhost", "80", 0, &address, 1), !=, -ECANCELED);
	return 0;
}

static int run_child(void *arg)
{
	const struct rota_process_config config = { .argv = (char *[]){ "true", NULL } };
	int status;

	(void)arg;
	expect(rota_process_run(&config, &status), ==, 0);
	expect(status, ==, 0);
	return 0;
}

static int all_at_once(void *arg)
{
	static rota_fn *const firsts[] = { cut_off, offload, take_signal, resolve, run_child };
	struct rota_scope scope;

	(void)arg;
	expect(rota_scope_open(&scope, 0), ==, 0);
	for (unsigned i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++)
		expect(rota_scope_spawn(&scope, NULL, firsts[i], NULL), ==, 0);
	expect(rota_scope_close(&scope), ==, 0);
	return 0;
}

static void report(void)
{
	for (unsigned i = 0; i < RUNTIMES; i++) {
		if (runtimes[i] != NULL)
			runtime_report(runtimes[i]);
	}
}

static void *runtime_main(void *arg)
{
	rota_runtime **rt = arg;

	pthread_barrier_wait(&together);
	expect(rota_runtime_new(rt, NULL), ==, 0);
	expect(rota_block_on(*rt, all_at_once, NULL), ==, 0);
	expect(rota_runtime_shutdown(*rt, ROTA_NEVER), ==, 0);
	rota_runtime_free(*rt);
	return NULL;
}

static void process_main(int argc, char **argv)
{
	struct stress_threads threads = { .n = 0 };

	signal(SIGUSR1, SIG_IGN); /* one runtime's may come when the other one has closed the last stream */
	stress_start(argc, argv, report);
	expect(pthread_barrier_init(&together, NULL, RUNTIMES), ==, 0);
	for (unsigned i = 0; i < RUNTIMES; i++)
		stress_thread(&threads, runtime_main, &runtimes[i]);
	stress_join(&threads);
}

int main(int argc, char **argv)
{
	const unsigned scale = (unsigned)stress_setting(argc, argv, 2, "ROTA_STRESS_SCALE", 1);

	snprintf(fifo, sizeof(fifo), "/tmp/rota-first-%d", getpid());
	expect(mkfifo(fifo, 0600), ==, 0);
	for (unsigned i = 0; i < PROCESSES * scale; i++) {
		pid_t pid = fork();
		int status;

		expect(pid, >=, 0);
		if (pid == 0) {
			process_main(argc, argv);
			return 0;
		}
		expect(waitpid(pid, &status, 0), ==, pid);
		if (status != 0)
			unlink(fifo);
		expect(status, ==, 0);
	}
	unlink(fifo);
	return 0;
}
