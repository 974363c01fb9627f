/* SPDX-License-Identifier: MIT */
/* The seam to the system: faults strike when they should, and each call does what its header says. */
#define _GNU_SOURCE
#include "../../runtime/sys_internal.h"

#include <sched.h>
#include <setjmp.h>
#include <sys/syscall.h>

#include "../../runtime/atomic_internal.h"
#include "../../runtime/spin_internal.h"
#include "unit.h"

UNIT_TEST(sys, a_fault_strikes_the_nth_call_once)
{
	for (uint32_t nth = 1; nth < 5; nth++) {
		rota__fault_arm(ROTA__FAULT_MAP, nth, -EIO);
		for (uint32_t call = 1; call < 10; call++)
			expect(rota__fault(ROTA__FAULT_MAP), ==, call == nth ? -EIO : 0);
	}
}

UNIT_TEST(sys, faults_of_different_kinds_are_apart_and_can_be_disarmed)
{
	rota__fault_arm(ROTA__FAULT_ALLOC, 1, -ENOMEM);
	rota__fault_arm(ROTA__FAULT_MAP, 2, -EIO);
	expect(rota__fault(ROTA__FAULT_GUARD), ==, 0);
	expect(rota__fault(ROTA__FAULT_MAP), ==, 0);
	expect(rota__fault(ROTA__FAULT_ALLOC), ==, -ENOMEM);
	rota__fault_arm(ROTA__FAULT_MAP, 0, 0);
	expect(rota__fault(ROTA__FAULT_MAP), ==, 0);
}

UNIT_TEST(sys, the_clock_does_not_go_back)
{
	uint64_t last = rota__sys_clock();

	for (int i = 0; i < 100000; i++) {
		uint64_t now = rota__sys_clock();

		expect(now, >=, last);
		last = now;
	}
}

UNIT_TEST(sys, random_numbers_differ)
{
	uint64_t a = rota__sys_random();

	expect(rota__sys_random(), !=, a);
}

UNIT_TEST(sys, counts_the_usable_cpus)
{
	cpu_set_t all, one;
	int first = 0;

	expect(sched_getaffinity(0, sizeof(all), &all), ==, 0);
	expect(rota__sys_cpus(), >=, 1);
	expect(rota__sys_cpus(), <=, CPU_COUNT(&all));
	while (!CPU_ISSET(first, &all))
		first++;
	CPU_ZERO(&one);
	CPU_SET(first, &one);
	expect(sched_setaffinity(0, sizeof(one), &one), ==, 0);
	expect(rota__sys_cpus(), ==, 1);
}

static struct rota_atomic_u32 word;

static void *set_and_wake(void *arg)
{
	(void)arg;
	rota__store(&word, 1, SEQ_CST);
	rota__sys_futex_wake(&word, 1);
	return NULL;
}

UNIT_TEST(sys, a_futex_waits_for_a_change)
{
	pthread_t thread;

	rota__sys_futex_wait(&word, 1, UINT64_MAX); /* it is 0: returns at once */
	expect(pthread_create(&thread, NULL, set_and_wake, NULL), ==, 0);
	while (rota__load(&word, SEQ_CST) == 0)
		rota__sys_futex_wait(&word, 0, UINT64_MAX);
	pthread_join(thread, NULL);
}

UNIT_TEST(sys, a_futex_wait_ends_by_itself_and_not_early)
{
	const uint64_t before = rota__sys_clock();
	unsigned waits = 0;

	/* A signal may end it early, so count, and wait for the rest. */
	while (rota__sys_clock() < before + 2000000) {
		rota__sys_futex_wait(&word, 0, before + 2000000 - rota__sys_clock());
		waits++;
	}
	expect(waits, <=, 10);
}

static sigjmp_buf fault_return;

static void on_fault(int number)
{
	(void)number;
	siglongjmp(fault_return, 1);
}

/* Whether a byte can be written. */
static bool writable(volatile unsigned char *at)
{
	struct sigaction action = { .sa_handler = on_fault, .sa_flags = SA_NODEFER }, old;
	bool good = false;

	sigaction(SIGSEGV, &action, &old);
	if (sigsetjmp(fault_return, 1) == 0) {
		*at = 1;
		good = true;
	}
	sigaction(SIGSEGV, &old, NULL);
	return good;
}

static void guard_middle_page(bool light)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *map = NULL;

	expect(rota__sys_map(&map, 3 * page), ==, 0);
	unsigned char *bytes = map;
	expect((uintptr_t)bytes % page, ==, 0);
	for (size_t i = 0; i < 3 * page; i += page)
		expect(bytes[i], ==, 0);
	expect(rota__sys_guard(bytes + page, page, light), ==, 0);
	expect(writable(bytes + page - 1), ==, true);
	expect(writable(bytes + page), ==, false);
	expect(writable(bytes + 2 * page - 1), ==, false);
	expect(writable(bytes + 2 * page), ==, true);
	/* Discarded pages read as zero; a guard stays one. */
	bytes[0] = 7;
	rota__sys_discard(&(struct iovec){ bytes, page }, 1);
	expect(bytes[0], ==, 0);
	expect(writable(bytes + page), ==, false);
	rota__sys_unmap(map, 3 * page);
}

UNIT_TEST(sys, maps_guards_and_discards)
{
	guard_middle_page(false);
	if (rota__sys_has_light_guards())
		guard_middle_page(true);
}

/* Every second page, by one call; then by one for each, where there is no such call. */
UNIT_TEST(sys, discards_several_ranges)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct iovec ranges[4];
	void *map = NULL;

	expect(rota__sys_map(&map, 8 * page), ==, 0);
	unsigned char *bytes = map;
	for (unsigned i = 0; i < 4; i++)
		ranges[i] = (struct iovec){ bytes + 2 * i * page, page };
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 8; i++)
			bytes[i * page] = 7;
		rota__fault_arm(ROTA__FAULT_DISCARD, round, -EPERM);
		rota__sys_discard(ranges, 4);
		for (unsigned i = 0; i < 8; i++)
			expect(bytes[i * page], ==, i % 2 == 0 ? 0 : 7);
	}
	rota__sys_unmap(map, 8 * page);
}

/* Whichever of them is not mapped, the others are: the one call ends there, having done some, or none. */
UNIT_TEST(sys, discards_all_ranges_but_one_that_cannot_be)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct iovec ranges[4];

	for (unsigned gone = 0; gone < 4; gone++) {
		void *map = NULL;

		expect(rota__sys_map(&map, 8 * page), ==, 0);
		unsigned char *bytes = map;
		for (unsigned i = 0; i < 4; i++) {
			ranges[i] = (struct iovec){ bytes + 2 * i * page, page };
			bytes[2 * i * page] = 7;
		}
		rota__sys_unmap(bytes + 2 * gone * page, page);
		rota__sys_discard(ranges, 4);
		for (unsigned i = 0; i < 4; i++) {
			if (i != gone)
				expect(bytes[2 * i * page], ==, 0);
		}
		for (unsigned i = 0; i < 8; i++) {
			if (i != 2 * gone)
				rota__sys_unmap(bytes + i * page, page);
		}
	}
}

UNIT_TEST(sys, light_guards_split_no_mapping)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *map = NULL;
	unsigned before;

	if (!rota__sys_has_light_guards())
		cr_skip("this kernel has no guard markers");
	expect(rota__sys_map(&map, 1000 * page), ==, 0);
	before = unit_mappings();
	for (size_t i = 0; i < 1000; i += 2)
		expect(rota__sys_guard((unsigned char *)map + i * page, page, true), ==, 0);
	expect(unit_mappings(), <=, before + 4); /* the C library may have mapped something meanwhile */
	rota__sys_unmap(map, 1000 * page);
}

UNIT_TEST(sys, memory_calls_fail_when_told_to)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *map = NULL;

	rota__fault_arm(ROTA__FAULT_MAP, 1, -ENOMEM);
	expect(rota__sys_map(&map, page), ==, -ENOMEM);
	expect_pointer(map, ==, NULL);
	expect(rota__sys_map(&map, SIZE_MAX / 2), ==, -ENOMEM);
	expect_pointer(map, ==, NULL);
	expect(rota__sys_map(&map, page), ==, 0);
	rota__fault_arm(ROTA__FAULT_GUARD, 1, -ENOMEM);
	expect(rota__sys_guard(map, page, true), ==, -ENOMEM);
	rota__sys_unmap(map, page);
}

struct thread_view {
	char name[32];
	sigset_t blocked;
};

static void *look_around(void *arg)
{
	struct thread_view *view = arg;

	pthread_sigmask(SIG_BLOCK, NULL, &view->blocked);
	/* The name is given from outside, after the thread was made. */
	do {
		pthread_getname_np(pthread_self(), view->name, sizeof(view->name));
	} while (strcmp(view->name, "rota-test") != 0);
	return NULL;
}

UNIT_TEST(sys, a_thread_has_its_name_and_no_signals_but_its_own_faults)
{
	struct thread_view view;
	sigset_t mine;
	pthread_t thread;

	expect(rota__sys_thread(&thread, "rota-test", look_around, &view), ==, 0);
	pthread_join(thread, NULL);
	expect_text(view.name, "rota-test");
	expect(sigismember(&view.blocked, SIGINT), ==, 1);
	expect(sigismember(&view.blocked, SIGTERM), ==, 1);
	expect(sigismember(&view.blocked, SIGPIPE), ==, 1);
	expect(sigismember(&view.blocked, SIGCHLD), ==, 1);
	expect(sigismember(&view.blocked, SIGSEGV), ==, 0);
	expect(sigismember(&view.blocked, SIGABRT), ==, 0);
	/* The caller keeps what it had. */
	pthread_sigmask(SIG_BLOCK, NULL, &mine);
	expect(sigismember(&mine, SIGINT), ==, 0);
}

/* --- where and for how long a thread runs ---------------------------------------------------------------------------- */

/* As the kernel fills it in. */
struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

static struct attributes attributes_now(void)
{
	struct attributes attributes = { .size = 0 };

	expect(syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0), ==, 0);
	return attributes;
}

UNIT_TEST(sys, a_slice_is_asked_for_and_nothing_else_changes)
{
	struct sched_param none = { 0 };
	struct attributes before, after;

	expect(sched_setscheduler(0, SCHED_OTHER, &none), ==, 0); /* whatever the tests are run as */
	expect(setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + 1), ==, 0);
	before = attributes_now();
	rota__sys_slice(700000);
	after = attributes_now();
	expect(after.nice, ==, before.nice);
	expect(after.policy, ==, before.policy);
	if (before.runtime != 0) /* the kernel knows of slices */
		expect(after.runtime, ==, 700000);
}

UNIT_TEST(sys, no_slice_is_asked_for_by_who_is_scheduled_otherwise)
{
	struct sched_param none = { 0 };

	expect(sched_setscheduler(0, SCHED_BATCH, &none), ==, 0);
	rota__sys_slice(700000);
	expect(attributes_now().policy, ==, SCHED_BATCH);
	expect(attributes_now().runtime, !=, 700000);
}

/* The kernel may move it elsewhere right after that: then again. */
UNIT_TEST(sys, a_thread_moves_to_a_cpu_and_may_still_run_where_it_might)
{
	cpu_set_t before, after;

	expect(sched_getaffinity(0, sizeof(before), &before), ==, 0);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		const time_t start = expect_seconds_();

		for (rota__sys_move(cpu); CPU_ISSET(cpu, &before) && sched_getcpu() != cpu; rota__sys_move(cpu))
			expect(expect_seconds_() - start, <=, EXPECT_HANG_S);
		expect(sched_getaffinity(0, sizeof(after), &after), ==, 0);
		expect(CPU_EQUAL(&before, &after), !=, 0);
	}
	rota__sys_move(CPU_SETSIZE);
}

UNIT_TEST(sys, a_thread_does_not_move_where_it_may_not_run)
{
	cpu_set_t before, one;
	int first = 0;

	expect(sched_getaffinity(0, sizeof(before), &before), ==, 0);
	while (!CPU_ISSET(first, &before))
		first++;
	CPU_ZERO(&one);
	CPU_SET(first, &one);
	expect(sched_setaffinity(0, sizeof(one), &one), ==, 0);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		rota__sys_move(cpu);
	expect(sched_getcpu(), ==, first);
}

static struct rota_atomic_u32 resting, end_of_rest;

static void *rest_on(void *arg)
{
	expect(sched_setaffinity(0, sizeof(cpu_set_t), arg), ==, 0);
	rota__store(&resting, 1, SEQ_CST);
	while (rota__load(&end_of_rest, SEQ_CST) == 0)
		rota__sys_futex_wait(&end_of_rest, 0, UINT64_MAX);
	return NULL;
}

UNIT_TEST(sys, tells_the_cpu_of_a_thread_and_whether_it_is_ready)
{
	struct rota__thread_state state = { .state = 'R' };
	const time_t start = expect_seconds_();
	cpu_set_t all, one;

	expect(sched_getaffinity(0, sizeof(all), &all), ==, 0);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		pthread_t thread;

		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		rota__store(&resting, 0, SEQ_CST);
		rota__store(&end_of_rest, 0, SEQ_CST);
		expect(rota__sys_thread(&thread, "a (odd) name", rest_on, &one), ==, 0);
		while (rota__load(&resting, SEQ_CST) == 0 || state.state != 'S') {
			expect(expect_seconds_() - start, <=, EXPECT_HANG_S);
			state = rota__sys_thread_state(thread);
		}
		state = rota__sys_thread_state(thread);
		expect(state.cpu, ==, cpu);
		rota__store(&end_of_rest, 1, SEQ_CST);
		rota__sys_futex_wake(&end_of_rest, 1);
		pthread_join(thread, NULL);
		state.state = 'R';
	}
}

UNIT_TEST(sys, no_thread_when_told_to)
{
	struct thread_view view;
	pthread_t thread;

	rota__fault_arm(ROTA__FAULT_THREAD, 1, -EAGAIN);
	expect(rota__sys_thread(&thread, "rota-test", look_around, &view), ==, -EAGAIN);
}

UNIT_TEST(sys, an_eventfd_counts)
{
	const unsigned before = unit_descriptors();
	uint64_t count;
	int fd = rota__sys_eventfd();

	expect(fd, >=, 0);
	expect(fcntl(fd, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
	rota__sys_eventfd_write(fd);
	rota__sys_eventfd_write(fd);
	expect(read(fd, &count, sizeof(count)), ==, (ssize_t)sizeof(count));
	expect(count, ==, 2);
	expect(read(fd, &count, sizeof(count)), ==, -1); /* empty: does not block */
	rota__sys_close(fd);
	expect(unit_descriptors(), ==, before);
	rota__fault_arm(ROTA__FAULT_EVENTFD, 1, -EMFILE);
	expect(rota__sys_eventfd(), ==, -EMFILE);
}

UNIT_TEST(sys, sigpipe_is_kept_out_and_swallowed)
{
	sigset_t now;

	expect(rota__sys_block_sigpipe(), ==, 1);
	pthread_kill(pthread_self(), SIGPIPE);
	rota__sys_unblock_sigpipe(); /* its default action would end the test */
	pthread_sigmask(SIG_BLOCK, NULL, &now);
	expect(sigismember(&now, SIGPIPE), ==, 0);
}

UNIT_TEST(sys, sigpipe_that_was_blocked_before_is_told)
{
	sigset_t pipe_only;

	sigemptyset(&pipe_only);
	sigaddset(&pipe_only, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe_only, NULL);
	expect(rota__sys_block_sigpipe(), ==, 0);
}

UNIT_TEST(sys, writes_to_standard_error)
{
	struct unit_capture capture;

	unit_capture_begin(&capture);
	rota__sys_write_error("one\n", 4);
	rota__sys_write_error("two\n", 3);
	rota__sys_write_error("", 0);
	expect_text(unit_capture_end(&capture), "one\ntwo");
}

static struct rota_atomic_u32 lock;
static unsigned guarded;

static void *count_up(void *arg)
{
	for (int i = 0; i < 20000; i++) {
		rota__spin_lock(&lock);
		guarded++;
		rota__spin_unlock(&lock);
	}
	return arg;
}

UNIT_TEST(sys, the_spin_lock_excludes)
{
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		expect(pthread_create(&threads[i], NULL, count_up, NULL), ==, 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	expect(guarded, ==, 80000);
	expect(rota__spin_trylock(&lock), ==, true);
	expect(rota__spin_trylock(&lock), ==, false);
	rota__spin_unlock(&lock);
	expect(rota__spin_trylock(&lock), ==, true);
}
