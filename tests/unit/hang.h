/* SPDX-License-Identifier: MIT */
/*
 * What a test is at that is about to run out of time: some seconds before Criterion ends it, it writes down each thread of the
 * process, those of the kernel's that work for its rings too, and each worker and task of the runtime that was made last.
 * It is not safe to do that in the handler of a signal; but nothing else comes of the test any more.
 */
#ifndef TESTS_UNIT_HANG_H
#define TESTS_UNIT_HANG_H

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../../io/ring_parts_internal.h"
#include "../../runtime/future_internal.h"
#include "../../runtime/runtime_internal.h"
#include "../expect.h"

#define HANG_S 50 /* then it is written: before UNIT_TIMEOUT, and after EXPECT_HANG_S */

static rota_runtime *hang_runtime; /* NULL: there is none just now */

/* What the kernel says in one of its files, the first line. */
static inline void hang_read(const char *thread, const char *name, char *text, size_t size)
{
	char path[300];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%s/%s", thread, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, text, size - 1);
	text[n < 0 ? 0 : n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (fd >= 0)
		close(fd);
}

static inline void hang_tell_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		char name[32], stat[300], where[64], call[100], *state;

		if (entry->d_name[0] == '.')
			continue;
		hang_read(entry->d_name, "comm", name, sizeof(name));
		hang_read(entry->d_name, "stat", stat, sizeof(stat));
		hang_read(entry->d_name, "wchan", where, sizeof(where));
		hang_read(entry->d_name, "syscall", call, sizeof(call));
		state = strrchr(stat, ')');
		dprintf(expect_output_, "\tthread %s %s: %c in %s, call %s\n", entry->d_name, name,
			state != NULL && state[1] != '\0' ? state[2] : '?', where, call);
	}
	if (dir != NULL)
		closedir(dir);
}

static inline void hang_tell_ring(const struct rota__ring *ring)
{
	dprintf(expect_output_, ", not submitted %u, completed %d, news %d, mail %d, backlog %d, notified %u, armed %u",
		rota__ring_unconsumed(ring), rota__ring_completed(ring), rota__ring_has_news(ring),
		rota__ring_has_mail(ring), ring->backlog_first != NULL, rota__load(&ring->notified, RELAXED),
		rota__load(&ring->wake_armed, RELAXED));
}

static inline void hang_tell_workers(rota_runtime *rt)
{
	const bool rings = rota_runtime_backend(rt) == ROTA_BACKEND_IO_URING;

	for (unsigned i = 0; i < rota__worker_total(rt); i++) {
		struct rota__worker *worker = &rt->workers[i];

		dprintf(expect_output_, "\tworker %u: asleep %u, runs %llu, queue %u, next %d, mail %d", i,
			rota__load(&worker->asleep, RELAXED), (unsigned long long)rota__load(&worker->runs, RELAXED),
			rota__deque_length(&worker->deque), rota__next_waits(&worker->next),
			rota__load(&worker->mail, RELAXED) != NULL);
		if (rings && worker->io != NULL)
			hang_tell_ring(worker->io);
		dprintf(expect_output_, "\n");
	}
	dprintf(expect_output_, "\treactor: injected %u", rota__inject_length(&rt->inject));
	if (rings)
		hang_tell_ring(rt->io);
	dprintf(expect_output_, "\n");
}

static inline void hang_tell_task(rota_task *task, void *arg)
{
	(void)arg;
	dprintf(expect_output_, "\ttask %llu \"%s\": state 0x%llx, waits in %s, or has\n", (unsigned long long)task->id,
		rota__task_name(task), (unsigned long long)rota__load(&task->state, RELAXED),
		rota__future_code_name(rota__load(&task->waits_for, RELAXED)));
	rota__task_unref(task);
}

static inline void hang_tell(int number)
{
	rota_runtime *rt = hang_runtime;

	(void)number;
	dprintf(expect_output_, "%s: nothing has come of this test for %d s\n",
		expect_about != NULL ? expect_about : "", HANG_S);
	hang_tell_threads();
	if (rt == NULL)
		return;
	hang_tell_workers(rt);
	rota__task_pool_each(&rt->tasks, hang_tell_task, NULL);
}

/* At the start of a test. A child of it has no alarm. */
static inline void hang_watch(void)
{
	signal(SIGALRM, hang_tell);
	alarm(HANG_S);
}

#endif
