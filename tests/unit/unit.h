/* SPDX-License-Identifier: MIT */
/*
 * What the unit tests of runtime/ share: a runtime around a test, in both flavors; catching what is written to
 * standard error; a child process for what must not come back; counts of what could leak.
 *
 * A runtime has more workers than most machines of developers have CPUs to spare, so that threads meet in places where
 * they would not otherwise.
 */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#ifndef _GNU_SOURCE
#error "define _GNU_SOURCE first"
#endif

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rota.h>

#include "../../io/sys_internal.h"
#include "../../runtime/slot_internal.h"
#include "../../runtime/task_internal.h"
#include "../expect.h"
#include "hang.h"

#define UNIT_TIMEOUT 60 /* seconds: for hangs, on the slowest of machines */
#define UNIT_WORKERS 3

/* Misuse that is detected aborts in debug builds. */
#ifdef ROTA_DEBUG
#define UNIT_MISUSE_SIGNAL SIGABRT
#else
#define UNIT_MISUSE_SIGNAL 0
#endif

/* Sanitizers take mappings, memory and signals of their own. */
#ifdef __SANITIZE_ADDRESS__
#define UNIT_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNIT_SANITIZED 1
#endif
#endif
#ifndef UNIT_SANITIZED
#define UNIT_SANITIZED 0
#endif

/* What runtimes of the test run on, unless they are told: as ROTA_BACKEND says, or tests/confined.c. */
static inline bool unit_on_epoll(void)
{
	const char *backend = getenv("ROTA_BACKEND");

	if (backend == NULL)
		backend = getenv("ROTA_TEST_ON");
	return backend != NULL && strcmp(backend, "epoll") == 0;
}

/* With ROTA_TEST_OLDER set, rings are as those of the oldest kernel that has what rota asks of one (5.19): without what
 * later ones added, or what a kernel may be built without. Then what stands in for it is tested. */
#define UNIT_LATER_OPCODES \
	((uint64_t)1 << IORING_OP_SPLICE | (uint64_t)1 << ROTA__OP_SEND_ZC | (uint64_t)1 << ROTA__OP_SENDMSG_ZC | \
	 (uint64_t)1 << ROTA__OP_FTRUNCATE | (uint64_t)1 << ROTA__RING_MULTISHOT)

__attribute__((constructor)) static void unit_choose_kernel(void)
{
	if (getenv("ROTA_TEST_OLDER") != NULL)
		rota__sys_ring_hide(UNIT_LATER_OPCODES);
}

/* UNIT_TEST(suite, name) { ... }: a plain test. */
#define UNIT_TEST(suite, name, ...) Test(suite, name, .timeout = UNIT_TIMEOUT, .init = hang_watch, ##__VA_ARGS__)

/* RUNTIME_TEST(suite, name) { ... }: the block runs on a plain thread beside a runtime `rt`, once for each flavor. */
#define RUNTIME_TEST(suite, name, ...) \
	static void suite##_##name##_body(rota_runtime *rt); \
	UNIT_TEST(suite, name##_on_workers, ##__VA_ARGS__) \
	{ \
		unit_with_runtime(ROTA_FLAVOR_MULTI_THREAD, suite##_##name##_body); \
	} \
	UNIT_TEST(suite, name##_on_caller, ##__VA_ARGS__) \
	{ \
		unit_with_runtime(ROTA_FLAVOR_CURRENT_THREAD, suite##_##name##_body); \
	} \
	static void suite##_##name##_body(__attribute__((unused)) rota_runtime *rt)

/* TASK_TEST(suite, name) { ... }: the same, and the block is the body of a fiber. */
#define TASK_TEST(suite, name, ...) \
	static void suite##_##name##_task(void); \
	static int suite##_##name##_fn(__attribute__((unused)) void *arg) \
	{ \
		suite##_##name##_task(); \
		return 0; \
	} \
	RUNTIME_TEST(suite, name, ##__VA_ARGS__) \
	{ \
		expect(rota_block_on(rt, suite##_##name##_fn, NULL), ==, 0); \
	} \
	static void suite##_##name##_task(void)

static enum rota_flavor unit_flavor; /* which one RUNTIME_TEST or TASK_TEST is at */

static inline rota_runtime *unit_runtime(enum rota_flavor flavor)
{
	const struct rota_config config = { .workers = UNIT_WORKERS, .flavor = flavor };
	rota_runtime *rt = NULL;

	rota_thread_waker(); /* its memory is there before a test makes allocations fail */
	expect(rota_runtime_new(&rt, &config), ==, 0);
	return rt;
}

static inline void unit_with_runtime(enum rota_flavor flavor, void (*body)(rota_runtime *rt))
{
	rota_runtime *rt;

	unsetenv("ROTA_FLAVOR"); /* the test says which */
	unit_flavor = flavor;
	rt = unit_runtime(flavor);
	hang_runtime = rt;
	body(rt);
	expect(rota_runtime_shutdown(rt, ROTA_NEVER), ==, 0);
	hang_runtime = NULL;
	rota_runtime_free(rt);
}

/* No spare worker is called from now on, and none is about to begin. One may come whenever no worker has had a CPU for a moment;
 * then what the test made fail may be the spare's, not the test's, and what it counts may be of the spare. NULL: nothing to do. */
static inline void unit_no_more_spares(rota_runtime *rt)
{
	if (rt == NULL)
		return;
	rota__spares_close(rt);
	expect_eventually(rota__load(&rt->spares.ready, SEQ_CST) == rt->spares.launched);
}

/* --- events between tests and tasks ------------------------------------------------------------------------------ */

/* Something that comes once and that one waiter may wait for, as whatever it is. All zero: it has not come. */
struct unit_event {
	struct rota_future future;
	struct rota_atomic_u32 slot;
	struct rota_waker held;
	bool cancelled;
};

static inline rota_poll unit_event_poll(struct rota_future *self, struct rota_context *cx)
{
	struct unit_event *event = (struct unit_event *)(void *)self;

	self->status = 0;
	if (!event->cancelled)
		return rota__slot_register(&event->slot, &event->held, cx->waker);
	if (rota__slot_disarm(&event->slot, &event->held) == ROTA_PENDING)
		self->status = -ECANCELED;
	return ROTA_READY;
}

static inline void unit_event_cancel(struct rota_future *self)
{
	((struct unit_event *)(void *)self)->cancelled = true;
}

static const struct rota_future_ops unit_event_ops = { .poll = unit_event_poll, .cancel = unit_event_cancel };

/* 0, or -ECANCELED; then it may be waited for again. */
static inline int unit_event_wait(struct unit_event *event)
{
	event->cancelled = false;
	rota_future_init(&event->future, &unit_event_ops);
	return rota_await(&event->future);
}

/* Any thread, once. */
static inline void unit_event_set(struct unit_event *event)
{
	struct rota__wake_batch batch;

	rota__wake_batch_init(&batch);
	rota__slot_fire(&event->slot, &event->held, &batch);
	rota__wake_batch_submit(&batch);
}

/* Until the task waits for something: then it is off its stack, and only a wake brings it back. Or has ended already, if
 * what it waits for comes by itself: who looks may not have had a CPU meanwhile. */
static inline void unit_until_resting(const rota_task *task)
{
	const time_t start = expect_seconds_();

	while ((rota__load(&task->state, ACQUIRE) & (ROTA__ACTIVE | ROTA__COMPLETE)) == ROTA__ACTIVE) {
		expect(expect_seconds_() - start, <=, EXPECT_HANG_S);
		rota_yield();
	}
}

/* --- tasks ------------------------------------------------------------------------------------------------------ */

static inline rota_task *unit_spawn(rota_fn *fn, void *arg)
{
	rota_task *task = NULL;

	expect(rota_spawn(&task, fn, arg), ==, 0);
	expect_pointer(task, !=, NULL);
	return task;
}

static inline rota_task *unit_spawn_future(struct rota_future *future)
{
	rota_task *task = NULL;

	expect(rota_spawn_future(&task, future), ==, 0);
	return task;
}

static inline void unit_expect_join(rota_task *task, int expected)
{
	int status = 12345;

	expect(rota_join(task, &status), ==, 0);
	expect(status, ==, expected);
}

/* A task's count is brought up to date a moment after its joiner was woken. */
static inline void unit_until_alive(rota_runtime *rt, unsigned n)
{
	const time_t start = expect_seconds_();
	struct rota_metrics metrics;

	for (rota_runtime_metrics(rt, &metrics); metrics.tasks_alive != n; rota_runtime_metrics(rt, &metrics)) {
		expect(expect_seconds_() - start, <=, EXPECT_HANG_S);
		rota_yield();
	}
}

/* --- standard error -------------------------------------------------------------------------------------------- */

struct unit_capture {
	int saved, file;
	char text[8192];
};

static inline void unit_capture_begin(struct unit_capture *capture)
{
	fflush(stderr);
	capture->saved = dup(STDERR_FILENO);
	capture->file = memfd_create("stderr", 0);
	expect(capture->saved, >=, 0);
	expect(dup2(capture->file, STDERR_FILENO), ==, STDERR_FILENO);
	expect_output_ = capture->saved;
}

/* What was written to standard error since the beginning; one thread at a time. */
static inline const char *unit_capture_so_far(struct unit_capture *capture)
{
	const ssize_t n = pread(capture->file, capture->text, sizeof(capture->text) - 1, 0);

	expect(n, >=, 0);
	capture->text[n] = '\0';
	return capture->text;
}

/* The same, and no more is captured. */
static inline const char *unit_capture_end(struct unit_capture *capture)
{
	fflush(stderr);
	dup2(capture->saved, STDERR_FILENO);
	unit_capture_so_far(capture);
	close(capture->saved);
	close(capture->file);
	expect_output_ = STDERR_FILENO;
	return capture->text;
}

static inline unsigned unit_lines(const char *text)
{
	unsigned lines = 0;

	for (; *text != '\0'; text++)
		lines += *text == '\n';
	return lines;
}

/* --- a child process -------------------------------------------------------------------------------------------- */

struct unit_child {
	int status;      /* as of waitpid */
	char text[4096]; /* what it wrote to standard error */
};

/* Whether a thread of this process sleeps, or has ended. */
static inline bool unit_sleeps_(const char *tid)
{
	char path[300], text[256];
	const char *state;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%s/stat", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return true;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n < 0 ? 0 : n] = '\0';
	state = strrchr(text, ')');
	return state == NULL || state[2] == 'S';
}

/* Whether all threads of this process but the calling one do. */
static inline bool unit_others_sleep(void)
{
	DIR *dir = opendir("/proc/self/task");
	bool all = true;
	struct dirent *entry;

	expect_pointer(dir, !=, NULL);
	while ((entry = readdir(dir)) != NULL)
		all = all && (entry->d_name[0] == '.' || atoi(entry->d_name) == gettid() || unit_sleeps_(entry->d_name));
	closedir(dir);
	return all;
}

/*
 * Runs fn(arg) in a child, which exits with code 0 if fn returns. In a child the allocator of the address sanitizer stays locked
 * for ever if another thread was in it at the fork, as those are that have just been started: so with it, all others must have
 * come to sleep, and none may have a deadline of its own.
 */
static inline void unit_child_run(struct unit_child *child, void (*fn)(void *arg), void *arg)
{
	const struct rlimit no_core = { 0, 0 };
	size_t len = 0;
	ssize_t n;
	int ends[2];
	pid_t pid;

#ifdef ROTA__ASAN
	expect_eventually(unit_others_sleep());
#endif
	expect(pipe2(ends, O_CLOEXEC), ==, 0);
	pid = fork();
	expect(pid, >=, 0);
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &no_core);
		/* Criterion's handlers of crashes belong to the parent. */
		signal(SIGABRT, SIG_DFL);
		signal(SIGSEGV, SIG_DFL);
		dup2(ends[1], STDERR_FILENO);
		fn(arg);
		_exit(0);
	}
	close(ends[1]);
	while ((n = read(ends[0], child->text + len, sizeof(child->text) - 1 - len)) > 0)
		len += (size_t)n;
	child->text[len] = '\0';
	close(ends[0]);
	expect(waitpid(pid, &child->status, 0), ==, pid);
}

/* --- what could leak ---------------------------------------------------------------------------------------------- */

static inline unsigned unit_entries(const char *path)
{
	unsigned n = 0;
	DIR *dir = opendir(path);

	expect_pointer(dir, !=, NULL);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

static inline bool unit_starts_with_(const char *target, ssize_t len, const char *prefix)
{
	return len >= (ssize_t)strlen(prefix) && memcmp(target, prefix, strlen(prefix)) == 0;
}

static inline unsigned unit_count_descriptors_(bool runtimes)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	unsigned n = 0;

	expect_pointer(dir, !=, NULL);
	while ((entry = readdir(dir)) != NULL) {
		char target[32];
		const ssize_t len = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target));

		if (len <= 0 || unit_starts_with_(target, len, "/proc/"))
			continue;
		n += runtimes || !(unit_starts_with_(target, len, "anon_inode:[io_uring]") ||
				   unit_starts_with_(target, len, "anon_inode:[eventfd]"));
	}
	closedir(dir);
	return n;
}

/* Open descriptors, but for files of /proc: the monitor has one open for a moment when it looks why a worker is stuck. */
static inline unsigned unit_descriptors(void)
{
	return unit_count_descriptors_(true);
}

/* The same without rings and eventfds, of which a runtime that runs opens more when it calls a spare; that it does where
 * a thread has no CPU for long. */
static inline unsigned unit_own_descriptors(void)
{
	return unit_count_descriptors_(false);
}

static inline unsigned unit_threads(void)
{
	return unit_entries("/proc/self/task");
}

/* Mappings of this process. */
static inline unsigned unit_mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	unsigned n = 0;
	int c;

	expect_pointer(f, !=, NULL);
	while ((c = getc(f)) != EOF)
		n += c == '\n';
	fclose(f);
	return n;
}

#endif
