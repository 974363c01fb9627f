/* SPDX-License-Identifier: MIT */
/*
 * Fibers: what lives in registers and on the stack survives switches and a change of thread; stacks of each size are
 * really there; what runs over is reported by name; a hundred thousand sleep at once, and their memory comes back.
 */
#define _GNU_SOURCE
#include "../../runtime/fiber_internal.h"

#include <math.h>
#include <semaphore.h>

#include "../../runtime/opaque_internal.h"
#include "../../runtime/runtime_internal.h"
#include "../../runtime/sys_internal.h"
#include "fall.h"
#include "unit.h"

/* --- registers ------------------------------------------------------------------------------------------------------ */

/* Calls leave() with known values in the registers that a callee must preserve; returns how many came back changed.
 * Opaque, as a copy of it that has leave() inlined is no caller. */
#if defined(__x86_64__)

static ROTA__OPAQUE unsigned hold_registers(uint64_t n, void (*leave)(void))
{
	register uint64_t b __asm__("rbx") = n + 1, c __asm__("r12") = n + 2, d __asm__("r13") = n + 3;
	register uint64_t e __asm__("r14") = n + 4, f __asm__("r15") = n + 5;

	__asm__ volatile("" : "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f));
	leave();
	__asm__ volatile("" : "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f));
	return (b != n + 1) + (c != n + 2) + (d != n + 3) + (e != n + 4) + (f != n + 5);
}

#elif defined(__aarch64__)

static ROTA__OPAQUE unsigned hold_registers(uint64_t n, void (*leave)(void))
{
	register uint64_t b __asm__("x19") = n + 1, c __asm__("x21") = n + 2, d __asm__("x23") = n + 3;
	register uint64_t e __asm__("x25") = n + 4, f __asm__("x28") = n + 5;
	register double v __asm__("d8") = (double)n, w __asm__("d15") = (double)n + 0.5;

	__asm__ volatile("" : "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f), "+w"(v), "+w"(w));
	leave();
	__asm__ volatile("" : "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f), "+w"(v), "+w"(w));
	return (b != n + 1) + (c != n + 2) + (d != n + 3) + (e != n + 4) + (f != n + 5) + (v != (double)n) +
	       (w != (double)n + 0.5);
}

#endif

static void yield(void)
{
	expect(rota_yield(), ==, 0);
}

static int hold_registers_often(void *arg)
{
	const uint64_t seed = (uint64_t)(uintptr_t)arg << 32;

	for (uint64_t i = 0; i < 2000; i++)
		expect(hold_registers(seed + i * 10, yield), ==, 0);
	return 0;
}

static void run_many(rota_fn *fn, unsigned n)
{
	rota_task *tasks[64];

	for (uintptr_t i = 0; i < n; i++)
		expect(rota_spawn(&tasks[i], fn, (void *)(i + 1)), ==, 0);
	for (unsigned i = 0; i < n; i++) {
		int status = -1;

		expect(rota_join(tasks[i], &status), ==, 0);
		expect(status, ==, 0);
	}
}

TASK_TEST(fiber, registers_survive_a_switch)
{
	run_many(hold_registers_often, 20);
}

/* Far more values than registers, whole numbers and fractions. */
static int hold_values(void *arg)
{
	volatile double scale = (double)(uintptr_t)arg;
	double a = scale * 1.5, b = scale * 2.25, c = sqrt(scale), d = scale / 3;
	uint64_t sum = 0;

	for (int i = 0; i < 2000; i++) {
		sum += (uint64_t)i;
		rota_yield();
	}
	expect(sum, ==, 1999 * 1000);
	expect((a == scale * 1.5) + (b == scale * 2.25) + (c == sqrt(scale)) + (d == scale / 3), ==, 4);
	return 0;
}

TASK_TEST(fiber, values_survive_switches)
{
	run_many(hold_values, 20);
}

/* --- the stack ------------------------------------------------------------------------------------------------------ */

static void write_pattern(unsigned char *bytes, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++)
		bytes[i] = (unsigned char)(i * 7 + seed);
}

static void expect_pattern(const unsigned char *bytes, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] != (unsigned char)(i * 7 + seed))
			expect(bytes[i], ==, (unsigned char)(i * 7 + seed));
	}
}

static int keep_stack(void *arg)
{
	const unsigned seed = (unsigned)(uintptr_t)arg;
	unsigned char bytes[8000];

	for (unsigned i = 0; i < 30; i++) {
		write_pattern(bytes, sizeof(bytes), seed + i);
		rota_yield();
		expect_pattern(bytes, sizeof(bytes), seed + i);
	}
	return 0;
}

TASK_TEST(fiber, the_stack_survives_switches)
{
	run_many(keep_stack, 64);
}

static int is_aligned(void *arg)
{
	_Alignas(16) volatile float vector[4] = { 1, 2, 3, 4 };
	char text[64];

	/* printf saves vector registers on the stack with aligned moves. */
	snprintf(text, sizeof(text), "%.1f %.1Lf", (double)vector[1], (long double)vector[2]);
	expect_text(text, "2.0 3.0");
	expect((uintptr_t)vector % 16, ==, 0);
	return (int)(uintptr_t)arg * 0;
}

TASK_TEST(fiber, the_stack_is_aligned)
{
	run_many(is_aligned, 64);
}

static __attribute__((noinline)) unsigned descend(unsigned depth)
{
	volatile unsigned here = depth;

	if (depth == 0) {
		rota_yield();
		return 0;
	}
	return descend(depth - 1) + (here == depth);
}

static int recurse(void *arg)
{
	(void)arg;
	expect(descend(100), ==, 100);
	return 0;
}

TASK_TEST(fiber, a_switch_may_happen_deep_down)
{
	run_many(recurse, 20);
}

static int use_most_of(void *arg)
{
#ifdef ROTA__ASAN
	const size_t n = *(size_t *)arg / 4; /* its frames, and those of what it intercepts, are large */
#else
	const size_t n = *(size_t *)arg - 4096;
#endif
	unsigned char *bytes = __builtin_alloca(n);

	write_pattern(bytes, n, 3);
	rota_yield();
	expect_pattern(bytes, n, 3);
	return 0;
}

TASK_TEST(fiber, stacks_are_as_large_as_was_asked)
{
	static size_t sizes[] = { ROTA_MIN_STACK_SIZE, 10000, 16384, 64 * 1024, 65 * 1024, 1 << 20, 32 << 20 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		const struct rota_task_attr attr = { .stack_size = sizes[i] };
		rota_task *tasks[3];

		for (int n = 0; n < 3; n++)
			expect(rota_spawn_with(&tasks[n], &attr, use_most_of, &sizes[i]), ==, 0);
		for (int n = 0; n < 3; n++)
			expect(rota_join(tasks[n], NULL), ==, 0);
	}
}

UNIT_TEST(fiber, the_runtime_s_stack_size_is_used)
{
	static size_t sizes[] = { ROTA_MIN_STACK_SIZE, 20000, 1 << 20 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		const struct rota_config config = { .workers = 2, .stack_size = sizes[i] };
		rota_runtime *rt = NULL;

		expect(rota_runtime_new(&rt, &config), ==, 0);
		expect(rota_block_on(rt, use_most_of, &sizes[i]), ==, 0);
		rota_runtime_free(rt);
	}
}

TASK_TEST(fiber, a_stack_too_small_or_too_large_is_refused)
{
	static const size_t sizes[] = { 1, ROTA_MIN_STACK_SIZE - 1, ROTA_MAX_STACK_SIZE + 1, SIZE_MAX };
	rota_task *task = NULL;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		const struct rota_task_attr attr = { .stack_size = sizes[i] };

		expect(rota_spawn_with(&task, &attr, keep_stack, NULL), ==, -EINVAL);
		expect_pointer(task, ==, NULL);
	}
}

/* --- many switches, and from one thread to the other ------------------------------------------------------------------ */

static int yield_often(void *arg)
{
	(void)arg;
	for (int i = 0; i < 100000; i++)
		rota_yield();
	return 0;
}

TASK_TEST(fiber, switches_many_times)
{
	run_many(yield_often, 4);
}

/* A fiber without a runtime, resumed by two threads in turn. */
static rota_task wanderer;
static struct rota__fiber_host *host_now;
static unsigned ended;

static void leave_for_the_other(void)
{
	rota__fiber_leave(host_now, &wanderer, NULL);
}

static void wander(void *arg)
{
	rota_task *task = arg;
	unsigned char bytes[2000];

	rota__fiber_arrived(task);
	for (unsigned i = 0; i < 1000; i++) {
		write_pattern(bytes, sizeof(bytes), i);
		expect(hold_registers((uint64_t)i << 33, leave_for_the_other), ==, 0);
		expect_pattern(bytes, sizeof(bytes), i);
	}
	ended = 1;
	rota__fiber_exit(host_now, NULL);
}

struct host_thread {
	pthread_t thread;
	sem_t *mine, *other;
	unsigned resumes;
};

static void *resume_in_turn(void *arg)
{
	struct host_thread *me = arg;
	struct rota__fiber_host host;

	rota__fiber_host_init(&host);
	for (;;) {
		sem_wait(me->mine);
		if (ended)
			break;
		host_now = &host;
		me->resumes++;
		rota__fiber_resume(&host, &wanderer);
		sem_post(me->other);
	}
	sem_post(me->other);
	return NULL;
}

UNIT_TEST(fiber, goes_on_on_another_thread)
{
	struct rota__stack_pool pool;
	struct rota__stack_cache cache = { 0 };
	sem_t turns[2];
	struct host_thread hosts[2] = { { .mine = &turns[0], .other = &turns[1] },
					{ .mine = &turns[1], .other = &turns[0] } };

	rota__stack_pool_init(&pool, 64 * 1024, 1);
	expect(rota__stack_reserve(&pool, &cache), ==, 0);
	wanderer.stack = rota__stack_acquire(&pool, &cache);
	rota__fiber_start(&wanderer, wander);
	sem_init(&turns[0], 0, 1);
	sem_init(&turns[1], 0, 0);
	for (int i = 0; i < 2; i++)
		expect(pthread_create(&hosts[i].thread, NULL, resume_in_turn, &hosts[i]), ==, 0);
	for (int i = 0; i < 2; i++)
		pthread_join(hosts[i].thread, NULL);
	expect(ended, ==, 1);
	expect(hosts[0].resumes, ==, 501);
	expect(hosts[1].resumes, ==, 500);
	rota__fiber_left(wanderer.stack);
	rota__stack_release(&pool, &cache, wanderer.stack);
	rota__stack_cache_flush(&pool, &cache);
	rota__stack_pool_deinit(&pool);
}

/* --- running over ------------------------------------------------------------------------------------------------------ */

struct crash {
	enum rota_flavor flavor;
	size_t stack_size;
	rota_fn *fn;
};

static int spawn_diver(void *arg)
{
	const struct crash *crash = arg;
	const struct rota_task_attr attr = { .name = "deep diver", .stack_size = crash->stack_size };
	rota_task *task;

	expect(rota_spawn_with(&task, &attr, crash->fn, NULL), ==, 0);
	return rota_join(task, NULL);
}

static void crash(void *arg)
{
	struct crash *c = arg;

	rota_block_on(unit_runtime(c->flavor), spawn_diver, c);
}

static void expect_report(enum rota_flavor flavor, size_t stack_size, const char *size)
{
	struct crash c = { flavor, stack_size, fall_for_ever };
	static struct unit_child child;

	unit_child_run(&child, crash, &c);
	expect(WIFSIGNALED(child.status), ==, 1);
	expect(WTERMSIG(child.status), ==, SIGABRT);
	expect_contains(child.text, "rota: stack overflow in task ");
	expect_contains(child.text, "\"deep diver\"");
	expect_contains(child.text, size);
}

UNIT_TEST(fiber, an_overflow_is_reported_by_name)
{
	expect_report(ROTA_FLAVOR_MULTI_THREAD, 0, "64 KiB");
	expect_report(ROTA_FLAVOR_CURRENT_THREAD, 0, "64 KiB");
	expect_report(ROTA_FLAVOR_MULTI_THREAD, 256 * 1024, "256 KiB");
	expect_report(ROTA_FLAVOR_CURRENT_THREAD, ROTA_MIN_STACK_SIZE, "8 KiB");
}

static int do_nothing(void *arg)
{
	(void)arg;
	return 0;
}

static int play_another_worker(void *arg)
{
	rota_runtime *rt = unit_runtime(ROTA_FLAVOR_CURRENT_THREAD);

	expect(rota_block_on(rt, do_nothing, arg), ==, 0);
	rota_runtime_free(rt);
	return 0;
}

static int play_and_fall(void *arg)
{
	expect(rota_block_in_place(play_another_worker, arg), ==, 0);
	return fall_for_ever(arg);
}

/* What is given back with a runtime of the current-thread flavour is the thread's that has played its worker, but for one that
 * is a worker itself. */
UNIT_TEST(fiber, an_overflow_is_reported_after_the_worker_has_freed_a_runtime)
{
	struct crash c = { ROTA_FLAVOR_MULTI_THREAD, 0, play_and_fall };
	static struct unit_child child;

	unit_child_run(&child, crash, &c);
	expect(WIFSIGNALED(child.status), ==, 1);
	expect(WTERMSIG(child.status), ==, SIGABRT);
	expect_contains(child.text, "rota: stack overflow in task ");
}

static int follow_null(void *arg)
{
	*(volatile int *)arg = 1;
	return 0;
}

UNIT_TEST(fiber, another_fault_stays_a_fault, .disabled = UNIT_SANITIZED)
{
	struct crash c = { ROTA_FLAVOR_MULTI_THREAD, 0, follow_null };
	static struct unit_child child;

	unit_child_run(&child, crash, &c);
	expect(WIFSIGNALED(child.status), ==, 1);
	expect(WTERMSIG(child.status), ==, SIGSEGV);
	expect_text(child.text, "");
}

static void former_handler(int number)
{
	_exit(number == SIGSEGV ? 77 : 78);
}

static void crash_with_a_handler(void *arg)
{
	signal(SIGSEGV, former_handler);
	crash(arg);
}

UNIT_TEST(fiber, another_fault_goes_to_the_program_s_own_handler, .disabled = UNIT_SANITIZED)
{
	struct crash c = { ROTA_FLAVOR_MULTI_THREAD, 0, follow_null };
	static struct unit_child child;

	unit_child_run(&child, crash_with_a_handler, &c);
	expect(WIFEXITED(child.status), ==, 1);
	expect(WEXITSTATUS(child.status), ==, 77);
}

/* --- very many ----------------------------------------------------------------------------------------------------------- */

#define CROWD (UNIT_SANITIZED ? 10000 : 100000)

static rota_task *crowd[100000];
static struct rota_atomic_u32 asleep;

static int sleep_long(void *arg)
{
	(void)arg;
	rota__fetch_add(&asleep, 1, SEQ_CST);
	return rota_sleep(ROTA_SECONDS(1000000));
}

/* Spawns up to CROWD sleepers; returns how many there was memory for. */
static unsigned spawn_crowd(void)
{
	unsigned n = 0;

	for (; n < CROWD; n++) {
		int rc = rota_spawn(&crowd[n], sleep_long, NULL);

		if (rc == -ENOMEM)
			break;
		expect(rc, ==, 0);
	}
	while (rota__load(&asleep, SEQ_CST) < n)
		rota_sleep(ROTA_MS(1));
	return n;
}

static void end_crowd(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		expect(rota_cancel(crowd[i]), ==, 0);
	for (unsigned i = 0; i < n; i++) {
		int status = 0;

		expect(rota_join(crowd[i], &status), ==, 0);
		expect(status, ==, -ECANCELED);
	}
	rota__store(&asleep, 0, SEQ_CST);
}

/* Bytes of this process in memory. */
static size_t resident(void)
{
	size_t pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	expect(fscanf(f, "%*u %zu", &pages), ==, 1);
	fclose(f);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

TASK_TEST(fiber, a_hundred_thousand_sleep_at_once_and_leave_nothing)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	const size_t before = resident();
	size_t peak;
	unsigned n;

	if (!rota__sys_has_light_guards())
		return; /* a kernel before 6.13: the next test */
	n = spawn_crowd();
	expect(n, ==, CROWD);
	expect(unit_mappings(), <, 10000); /* max_map_count is 65530 by default */
	peak = resident();
	expect(peak - before, >=, n * page);
	end_crowd(n);
	if (!UNIT_SANITIZED) /* which keep a shadow of it all */
		expect(resident() - before, <, (peak - before) / 4);
	/* And again, on what is there. */
	n = spawn_crowd();
	expect(n, ==, CROWD);
	end_crowd(n);
}

TASK_TEST(fiber, without_guard_markers_too_many_end_in_ENOMEM, .disabled = UNIT_SANITIZED)
{
	rota_runtime *rt = rota_runtime_current();
	rota_task *task;
	unsigned n;

	/* As on a kernel before 6.13: each guard costs two mappings. What was reserved until now does not matter. */
	rt->stacks.light_guards = false;
	n = spawn_crowd();
	expect(n, >=, 1000);
	end_crowd(n);
	expect(rota_spawn(&task, keep_stack, NULL), ==, 0);
	expect(rota_join(task, NULL), ==, 0);
}
