/* SPDX-License-Identifier: MIT */
/*
 * Conversations while calls fail: operations end with errors and short counts, registrations find no memory, entries to the
 * kernel are refused. Who meets an error tries again, and each byte arrives once, in order. Meanwhile others wait on
 * descriptors that are closed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime_report.h"
#include "stress.h"

#define PAIRS 6u
#define BYTES STRESS_FEWER(4000u)
#define CLOSES STRESS_FEWER(300u)

static rota_runtime *runtime_now;
static struct rota_atomic_u32 over;

static void report(void)
{
	if (runtime_now != NULL)
		runtime_report(runtime_now);
}

static const int errors[] = { -EINTR, -ENOBUFS, -ENOMEM, -EIO, 1, 2 };
static const int enter_errors[] = { -EBUSY, -EAGAIN, -EINTR, -ENOMEM };

static void *spoil(void *arg)
{
	struct stress_random random = stress_random_new(1000);

	(void)arg;
	while (rota__load(&over, RELAXED) == 0) {
		rota__fault_arm(ROTA__FAULT_OP, 1 + stress_below(&random, 40), errors[stress_below(&random, 6)]);
		rota__fault_arm(ROTA__FAULT_EPOLL, 1 + stress_below(&random, 40), -ENOMEM);
		rota__fault_arm(ROTA__FAULT_ENTER, 1 + stress_below(&random, 20),
				enter_errors[stress_below(&random, 4)]);
		stress_pause(&random);
		usleep(50);
	}
	rota__fault_arm(ROTA__FAULT_OP, 0, 0);
	rota__fault_arm(ROTA__FAULT_EPOLL, 0, 0);
	rota__fault_arm(ROTA__FAULT_ENTER, 0, 0);
	return NULL;
}

static void expect_injected(ssize_t rc)
{
	expect((rc == -EINTR) + (rc == -ENOBUFS) + (rc == -ENOMEM) + (rc == -EIO), ==, 1);
}

struct talk {
	int fds[2];
	rota_task *tasks[2];
	struct stress_random random[2];
};

static int talker(void *arg)
{
	struct talk *talk = arg;
	unsigned char bytes[8];
	unsigned sent = 0;

	while (sent < BYTES) {
		const unsigned n = 1 + stress_below(&talk->random[0], 8);

		for (unsigned i = 0; i < n; i++)
			bytes[i] = (unsigned char)(sent + i);
		ssize_t rc = rota_write(talk->fds[0], bytes, n);
		if (rc < 0)
			expect_injected(rc);
		else
			sent += (unsigned)rc;
		stress_moved();
	}
	while (rota_shutdown(talk->fds[0], SHUT_WR) < 0) {
	}
	return (int)(sent & 0x7fffffff);
}

static int listener(void *arg)
{
	struct talk *talk = arg;
	unsigned char bytes[8];
	unsigned got = 0;

	for (;;) {
		ssize_t rc = rota_read(talk->fds[1], bytes, 1 + stress_below(&talk->random[1], 8));

		if (rc == 0)
			return (int)(got & 0x7fffffff);
		if (rc < 0) {
			expect_injected(rc);
			continue;
		}
		for (ssize_t i = 0; i < rc; i++)
			expect(bytes[i], ==, (unsigned char)got++);
		stress_moved();
	}
}

/* Once: who tried again could do so while the descriptor is being closed, which is a program's mistake. */
static int wait_for_close(void *arg)
{
	char byte;

	return (int)rota_read(*(int *)arg, &byte, 1);
}

/* Waits, or has ended with an error that was injected. */
static void until_resting(const rota_task *task)
{
	while (!rota__state_ended(&task->state) && rota__load(&task->state, ACQUIRE) & ROTA__ACTIVE)
		rota_yield();
}

static int closer(void *arg)
{
	unsigned cancelled = 0;

	(void)arg;
	for (unsigned i = 0; i < CLOSES * stress_scale; i++) {
		rota_task *tasks[3];
		int fds[2], status;

		expect(pipe(fds), ==, 0);
		for (int t = 0; t < 3; t++)
			expect(rota_spawn(&tasks[t], wait_for_close, &fds[0]), ==, 0);
		for (int t = 0; t < 3; t++)
			until_resting(tasks[t]);
		expect(rota_close(fds[0]), ==, 0);
		close(fds[1]);
		for (int t = 0; t < 3; t++) {
			expect(rota_join(tasks[t], &status), ==, 0);
			if (status == -ECANCELED)
				cancelled++;
			else
				expect_injected(status);
		}
		stress_moved();
	}
	expect(cancelled, >, 0);
	return 0;
}

static int root(void *arg)
{
	struct talk talks[PAIRS];
	rota_task *closing;
	int sent, got;

	(void)arg;
	expect(rota_spawn(&closing, closer, NULL), ==, 0);
	for (unsigned i = 0; i < PAIRS; i++) {
		talks[i].random[0] = stress_random_new(2 * i);
		talks[i].random[1] = stress_random_new(2 * i + 1);
		expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, talks[i].fds), ==, 0);
		expect(rota_spawn(&talks[i].tasks[0], talker, &talks[i]), ==, 0);
		expect(rota_spawn(&talks[i].tasks[1], listener, &talks[i]), ==, 0);
	}
	for (unsigned i = 0; i < PAIRS; i++) {
		expect(rota_join(talks[i].tasks[0], &sent), ==, 0);
		expect(rota_join(talks[i].tasks[1], &got), ==, 0);
		expect(got, ==, sent);
		expect(rota_close(talks[i].fds[0]), ==, 0);
		expect(rota_close(talks[i].fds[1]), ==, 0);
	}
	return rota_join(closing, NULL);
}

int main(int argc, char **argv)
{
	struct stress_threads threads = { .n = 0 };

	stress_start(argc, argv, report);
	for (int flavor = 0; flavor < 2; flavor++) {
		const struct rota_config config = { .workers = 3,
						    .flavor = (enum rota_flavor)flavor,
						    .seed = stress_seed };
		rota_runtime *rt;

		expect(rota_runtime_new(&rt, &config), ==, 0);
		runtime_now = rt;
		rota__store(&over, 0, RELAXED);
		stress_thread(&threads, spoil, NULL);
		expect(rota_block_on(rt, root, NULL), ==, 0);
		rota__store(&over, 1, RELAXED);
		stress_join(&threads);
		runtime_now = NULL;
		rota_runtime_free(rt);
	}
	return 0;
}
