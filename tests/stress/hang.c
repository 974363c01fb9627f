/* SPDX-License-Identifier: MIT */
/*
 * What the watchdog of the other programs prints when they hang: each task by its name, and the wait that it is in; a
 * wait on a lock, in the ring or on epoll, on a timer, for another task, of a stackless task, and one that has been
 * cancelled and does not end.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/socket.h>

#include "runtime_report.h"
#include "stress.h"

enum { NOTIFY, RECV, SLEEP, JOIN, SHIELDED, FUTURE, WAITS };

static struct rota_notify never;
static struct rota_notify_op stackless;
static rota_task *tasks[WAITS];
static int pair[2];

static int wait_notify(void *arg)
{
	(void)arg;
	return rota_notify_wait(&never);
}

static int wait_recv(void *arg)
{
	char byte;

	(void)arg;
	return (int)rota_recv(pair[0], &byte, 1, 0);
}

static int wait_sleep(void *arg)
{
	(void)arg;
	return rota_sleep_until(ROTA_NEVER);
}

static int wait_join(void *arg)
{
	int rc = rota_join(tasks[SLEEP], NULL);

	(void)arg;
	return rc;
}

/* As one does whose cancel was lost. */
static int wait_shielded(void *arg)
{
	int rc;

	(void)arg;
	rota_shield_enter();
	rc = rota_notify_wait(&never);
	rota_shield_leave();
	return rc;
}

static const char *reported(rota_runtime *rt)
{
	static char text[16384];
	const int saved = expect_output_, file = memfd_create("report", MFD_CLOEXEC);
	ssize_t n;

	expect_output_ = file;
	runtime_report(rt);
	expect_output_ = saved;
	n = pread(file, text, sizeof(text) - 1, 0);
	expect(n, >, 0);
	text[n] = '\0';
	close(file);
	return text;
}

/* The line of a task, from after the first letter of what tells it to the line's end. */
static void expect_line(const char *text, const char *name, const char *part)
{
	char line[512] = "";
	const char *at = strstr(text, name);

	if (at != NULL)
		snprintf(line, sizeof(line), "%.*s", (int)strcspn(at + 1, "\n"), at + 1);
	expect_contains(line, part);
}

static bool rests(const rota_task *task)
{
	return !(rota__load(&task->state, ACQUIRE) & ROTA__ACTIVE);
}

static int hang(void *arg)
{
	static rota_fn *const fns[] = { wait_notify, wait_recv, wait_sleep, wait_join, wait_shielded };
	static const char *const names[] = { "notified", "receiver", "sleeper", "joiner", "shielded" };
	const char *text;

	for (int i = 0; i < FUTURE; i++) {
		const struct rota_task_attr attr = { .name = names[i] };

		expect(rota_spawn_with(&tasks[i], &attr, fns[i], NULL), ==, 0);
	}
	rota_notify_wait_init(&stackless, &never);
	expect(rota_spawn_future(&tasks[FUTURE], &stackless.future), ==, 0);
	for (int i = 0; i < WAITS; i++) {
		while (!rests(tasks[i]))
			rota_yield();
	}
	expect(rota_cancel(tasks[SHIELDED]), ==, 0);
	while (!rests(tasks[SHIELDED])) /* it wakes, and waits on */
		rota_yield();
	text = reported(arg);
	expect_line(text, "\"notified\"", "waits in notify");
	expect_line(text, "\"receiver\"", "waits in recv");
	expect_line(text, "\"sleeper\"", "waits in timer");
	expect_line(text, "\"joiner\"", "waits in join");
	expect_line(text, "\"shielded\"", ", cancelled: waits in notify");
	expect_line(text, "\nfuture ", "waits in notify");

	expect(rota_cancel(tasks[JOIN]), ==, 0);
	expect(rota_join(tasks[JOIN], NULL), ==, 0);
	rota_notify_all(&never);
	for (int i = 0; i < WAITS; i++) {
		if (i == RECV || i == SLEEP)
			expect(rota_cancel(tasks[i]), ==, 0);
		if (i != JOIN)
			expect(rota_join(tasks[i], NULL), ==, 0);
	}
	return 0;
}

int main(int argc, char **argv)
{
	unsetenv("ROTA_FLAVOR");
	stress_start(argc, argv, NULL);
	for (int flavor = 0; flavor < 2; flavor++) {
		const struct rota_config config = { .workers = 2, .flavor = (enum rota_flavor)flavor };
		rota_runtime *rt;

		expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
		rota_notify_init(&never);
		expect(rota_runtime_new(&rt, &config), ==, 0);
		expect(rota_block_on(rt, hang, rt), ==, 0);
		rota_runtime_free(rt);
		close(pair[0]);
		close(pair[1]);
	}
	return 0;
}
