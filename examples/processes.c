/* SPDX-License-Identifier: MIT */
/*
 * Four processes at once, each of which takes a tenth of a second and has an exit code of its own:
 *
 *   started one after the other and then waited for; their pids and exit codes are printed
 *   the same from four tasks, which capture what the processes write
 *
 * and one that never ends, which is cancelled with the task that waits for it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <rota.h>

enum { PROCESSES = 4 };

/* Of the original, with four processes of its own: started at once, and from tasks. */
#define PUBLISHED "(published for the original: %d ms)"
enum { PUBLISHED_PROCESSES_MS = 123, PUBLISHED_TASKS_MS = 137 };

static char *const scripts[PROCESSES] = {
	"sleep 0.1; echo $$; exit 0",
	"sleep 0.1; echo $$; exit 1",
	"sleep 0.1; echo $$; exit 2",
	"sleep 0.1; echo $$; exit 3",
};

static uint64_t milliseconds_since(uint64_t start)
{
	return (rota_now() - start) / ROTA_MS(1);
}

static int check_exit(int number, pid_t pid, int status)
{
	if (!WIFEXITED(status) || WEXITSTATUS(status) != number) {
		fprintf(stderr, "processes: %d ended with status 0x%x, not with exit code %d\n", (int)pid, status,
			number);
		return -EPROTO;
	}
	printf("  pid %d exit code %d", (int)pid, WEXITSTATUS(status));
	return 0;
}

/* --- started, then waited for ----------------------------------------------------------------------------------- */

static int start_and_wait(void)
{
	const uint64_t start = rota_now();
	struct rota_process process[PROCESSES];
	int started = 0, rc = 0, status;

	for (; started < PROCESSES && rc == 0; started += rc == 0) {
		const struct rota_process_config config = {
			.argv = (char *[]){ "sh", "-c", scripts[started], NULL },
			.out = { .kind = ROTA_PROCESS_NULL },
			.flags = ROTA_PROCESS_KILL_ON_CLOSE,
		};

		rc = rota_process_spawn(&process[started], &config);
	}
	for (int i = 0; i < started; i++) {
		if (rc == 0)
			rc = rota_process_wait(&process[i], &status);
		if (rc == 0)
			rc = check_exit(i, process[i].pid, status);
		if (rc == 0)
			printf("\n");
		rota_process_close(&process[i]);
	}
	printf("four processes: %" PRIu64 " ms " PUBLISHED "\n", milliseconds_since(start), PUBLISHED_PROCESSES_MS);
	return rc;
}

/* --- from tasks, with their output ------------------------------------------------------------------------------ */

struct job {
	int number, status;
	char output[32];
};

static int run_job(void *arg)
{
	struct job *job = arg;
	const struct rota_process_config config = { .argv = (char *[]){ "sh", "-c", scripts[job->number], NULL } };
	struct rota_process_capture capture = { .out = job->output, .out_size = sizeof(job->output) - 1 };

	return rota_process_output(&config, &capture, &job->status);
}

static int run_in_tasks(void)
{
	const uint64_t start = rota_now();
	struct job jobs[PROCESSES] = { { .number = 0 } };
	struct rota_scope scope;
	int closed, rc = rota_scope_open(&scope, 0);

	if (rc < 0)
		return rc;
	for (int i = 0; i < PROCESSES && rc == 0; i++) {
		jobs[i].number = i;
		rc = rota_scope_spawn(&scope, NULL, run_job, &jobs[i]);
	}
	closed = rota_scope_close(&scope); /* all have ended */
	rc = rc < 0 ? rc : closed;
	for (int i = 0; i < PROCESSES && rc == 0; i++) {
		rc = check_exit(i, (pid_t)atoi(jobs[i].output), jobs[i].status);
		if (rc == 0)
			printf(", wrote %s", jobs[i].output);
	}
	printf("four tasks, output captured: %" PRIu64 " ms " PUBLISHED "\n", milliseconds_since(start),
	       PUBLISHED_TASKS_MS);
	return rc;
}

/* --- cancelled -------------------------------------------------------------------------------------------------- */

static int run_for_ever(void *arg)
{
	const struct rota_process_config config = { .argv = (char *[]){ "sleep", "1000000", NULL } };

	(void)arg;
	return rota_process_run(&config, NULL);
}

static int cancel_one(void)
{
	rota_task *task;
	int status, rc = rota_spawn(&task, run_for_ever, NULL);

	if (rc < 0)
		return rc;
	rota_sleep(ROTA_MS(20)); /* so that it has a process; if it should not, it ends all the same */
	rota_cancel(task);
	rc = rota_join(task, &status);
	if (rc < 0)
		return rc;
	if (status != -ECANCELED) {
		fprintf(stderr, "processes: a cancelled process ended with %d\n", status);
		return -EPROTO;
	}
	printf("cancelled: killed and waited for\n");
	return 0;
}

static int async_main(int argc, char **argv)
{
	int rc;

	(void)argc, (void)argv;
	rc = start_and_wait();
	if (rc == 0)
		rc = run_in_tasks();
	if (rc == 0)
		rc = cancel_one();
	if (rc >= 0 && fflush(stdout) != 0)
		rc = -errno;
	if (rc < 0)
		fprintf(stderr, "processes: %s\n", strerror(-rc));
	return rc < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	return rota_run(async_main, argc, argv);
}
