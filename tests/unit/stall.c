/* SPDX-License-Identifier: MIT */
/*
 * Reports of stalled tasks: what they say, that they are few, that nobody is blamed who keeps nobody waiting, and that
 * the signal that takes a stack takes nobody else's.
 */
#define _GNU_SOURCE
#include "../../runtime/stall_internal.h"

#include "../../runtime/runtime_internal.h"
#include "unit.h"

#define SECOND ROTA_SECONDS(1)

static rota_runtime *new_runtime(enum rota_stall_report report, uint64_t report_ns)
{
	const struct rota_config config = { .workers = 1, .stall_report = report, .stall_report_ns = report_ns };
	rota_runtime *rt = NULL;

	unsetenv("ROTA_FLAVOR");
	expect(rota_runtime_new(&rt, &config), ==, 0);
	return rt;
}

static struct rota_metrics metrics(rota_runtime *rt)
{
	struct rota_metrics m;

	rota_runtime_metrics(rt, &m);
	return m;
}

static int do_nothing(void *arg)
{
	(void)arg;
	return 0;
}

/* Sleeps until the caller is on a configured worker and no spare is on duty, who would take over from it: on a busy machine
 * workers that have hardly started look stuck, and one is called. It may be called even now, by a look that began before. */
static void leave_the_spares(void)
{
	while (rota__worker_self()->spare || metrics(rota_runtime_current()).spares_on_duty > 0)
		expect(rota_sleep(ROTA_MS(1)), ==, 0);
}

static struct rota_atomic_u32 waits;

static int wait_no_more(void *arg)
{
	(void)arg;
	rota__store(&waits, 0, SEQ_CST);
	return 0;
}

/* Has a task wait behind the caller, if the last one does not any more: a spare has taken it. */
static void keep_waiting(void)
{
	if (rota__load(&waits, SEQ_CST) != 0)
		return;
	rota__store(&waits, 1, SEQ_CST);
	expect(rota_spawn(NULL, wait_no_more, NULL), ==, 0);
}

static unsigned long long reported_id;

/* Keeps its worker until it has been reported. */
static int be_reported(void *arg)
{
	rota_runtime *rt = rota_runtime_current();
	const time_t start = expect_seconds_();

	(void)arg;
	reported_id = rota_task_id();
	leave_the_spares();
	while (metrics(rt).stall_reports == 0) {
		keep_waiting();
		expect(expect_seconds_() - start, <=, EXPECT_HANG_S);
	}
	return 0;
}

static int spawn_named(void *arg)
{
	const struct rota_task_attr attr = { .name = "glutton" };
	rota_task *task = NULL;

	expect(rota_spawn_with(&task, &attr, arg != NULL ? (rota_fn *)arg : be_reported, NULL), ==, 0);
	unit_expect_join(task, 0);
	return 0;
}

UNIT_TEST(stall, is_reported_in_a_line)
{
	rota_runtime *rt = new_runtime(ROTA_STALL_REPORT_BRIEF, ROTA_MS(5));
	struct unit_capture capture;
	char beginning[80];
	const char *text;

	unit_capture_begin(&capture);
	expect(rota_block_on(rt, spawn_named, NULL), ==, 0);
	rota_runtime_free(rt);
	text = unit_capture_end(&capture);
	snprintf(beginning, sizeof(beginning), "rota: stall: fiber %llu \"glutton\" has run for ", reported_id);
	expect(unit_lines(text), ==, 1);
	expect_pointer(strstr(text, beginning), ==, text);
	expect(atoi(text + strlen(beginning)), >=, 5); /* milliseconds, as it was told to report */
	expect_pointer(strstr(text, " on worker 0 while others wait; spawned at "), !=, NULL);
	expect_pointer(strstr(strstr(text, "; spawned at "), "+0x"), !=, NULL);
}

/* Long enough to be reported, if others were not a moment ago. */
static int stall_for_a_while(void *arg)
{
	const uint64_t until = rota_now() + ROTA_MS(20);

	(void)arg;
	expect(rota_spawn(NULL, do_nothing, NULL), ==, 0);
	while (rota_now() < until)
		rota__cpu_relax();
	return 0;
}

UNIT_TEST(stall, tells_how_many_were_not_reported)
{
	rota_runtime *rt = new_runtime(ROTA_STALL_REPORT_BRIEF, ROTA_MS(5));
	const time_t start = expect_seconds_();
	struct unit_capture capture;

	unit_capture_begin(&capture);
	do {
		expect(expect_seconds_() - start, <=, EXPECT_HANG_S);
		expect(rota_block_on(rt, spawn_named, (void *)stall_for_a_while), ==, 0);
	} while (strstr(unit_capture_so_far(&capture), " more since the last report\n") == NULL);
	rota_runtime_free(rt);
	unit_capture_end(&capture);
}

/* --- at work or blocked --------------------------------------------------------------------------------------------- */

static struct rota_atomic_u32 released;
static int release_pipe[2];

/* Lets the stalled task go when it was reported. */
static void *release(void *rt)
{
	const time_t start = expect_seconds_();

	while (metrics(rt).stall_reports == 0)
		expect(expect_seconds_() - start, <=, EXPECT_HANG_S);
	rota__store(&released, 1, SEQ_CST);
	expect(write(release_pipe[1], "x", 1), ==, 1);
	return NULL;
}

static int compute(void *arg)
{
	(void)arg;
	leave_the_spares();
	expect(rota_spawn(NULL, do_nothing, NULL), ==, 0);
	while (rota__load(&released, SEQ_CST) == 0)
		rota__cpu_relax();
	return 0;
}

static int block(void *arg)
{
	char byte;

	(void)arg;
	leave_the_spares();
	expect(rota_spawn(NULL, do_nothing, NULL), ==, 0);
	expect(read(release_pipe[0], &byte, 1), ==, 1); /* the mistake */
	return 0;
}

static void expect_state(rota_fn *fn, const char *state)
{
	rota_runtime *rt = new_runtime(ROTA_STALL_REPORT_BRIEF, ROTA_MS(5));
	struct unit_capture capture;
	pthread_t thread;

	expect(pipe(release_pipe), ==, 0);
	unit_capture_begin(&capture);
	expect(pthread_create(&thread, NULL, release, rt), ==, 0);
	expect(rota_block_on(rt, spawn_named, (void *)fn), ==, 0);
	pthread_join(thread, NULL);
	rota_runtime_free(rt);
	expect_pointer(strstr(unit_capture_end(&capture), state), !=, NULL);
	close(release_pipe[0]);
	close(release_pipe[1]);
}

UNIT_TEST(stall, of_one_that_computes_is_told)
{
	expect_state(compute, " ms in wait for one, ready now) on worker 0");
}

UNIT_TEST(stall, of_one_that_blocks_is_told)
{
	expect_state(block, " ms in wait for one, blocked now) on worker 0");
}

static struct unit_capture capturing;
static unsigned locks;

static bool has_stack(const char *text)
{
	return strstr(text, "rota: stall:   at ") != NULL;
}

/* Keeps its worker until its stack was seen, and mostly locks a mutex, if `locks` is large. The thread gives it when it next
 * runs; where that takes too long, there is a line alone, and the next report asks again. */
static int show_stack(void *arg)
{
	rota_runtime *rt = rota_runtime_current();
	const time_t start = expect_seconds_();
	struct rota_mutex mutex = ROTA_MUTEX_INIT;

	(void)arg;
	leave_the_spares(); /* one of them would be sent away, and nobody wait */
	while (metrics(rt).stall_reports == 0 || !has_stack(unit_capture_so_far(&capturing))) {
		keep_waiting();
		expect(expect_seconds_() - start, <=, EXPECT_HANG_S);
		for (unsigned i = 0; i < locks; i++) {
			rota_mutex_lock(&mutex);
			rota_mutex_unlock(&mutex);
		}
	}
	return 0;
}

static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;

	for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
		n++;
	return n;
}

static void expect_stack(unsigned n)
{
	rota_runtime *rt = new_runtime(ROTA_STALL_REPORT_STACK, ROTA_MS(5));
	unsigned frames, reports;
	const char *text;

	locks = n;
	unit_capture_begin(&capturing);
	expect(rota_block_on(rt, spawn_named, (void *)show_stack), ==, 0);
	rota_runtime_free(rt);
	text = unit_capture_end(&capturing);
	frames = count(text, "rota: stall:   at ");
	reports = count(text, " has run for ");
	expect_pointer(strstr(text, " \"glutton\" has run for "), !=, NULL);
	expect(frames, >=, 2); /* where it is, and who called */
	expect(frames + reports, ==, unit_lines(text));
}

UNIT_TEST(stall, is_reported_with_its_stack)
{
	expect_stack(0);
}

/* The signal that asks for the stack cuts off restartable sequences, and finds the thread where they abort. */
UNIT_TEST(stall, is_reported_with_its_stack_when_it_is_cut_off)
{
	for (unsigned i = 0; i < 20; i++)
		expect_stack(100000);
}

static int be_stalled(void *arg)
{
	rota_runtime *rt = rota_runtime_current();
	const time_t start = expect_seconds_();
	uint64_t until;

	(void)arg;
	leave_the_spares();
	while (metrics(rt).stalls == 0) {
		keep_waiting();
		expect(expect_seconds_() - start, <=, EXPECT_HANG_S);
	}
	until = rota_now() + ROTA_MS(30);
	while (rota_now() < until)
		keep_waiting();
	return 0;
}

/* `fn` returns 0, or 1 where a spare was called while none should be: then it is to be called once more. */
static void expect_silence(enum rota_stall_report report, uint64_t report_ns, rota_fn *fn)
{
	struct unit_capture capture;
	uint64_t reports;
	size_t said;
	int again;

	do {
		rota_runtime *rt = new_runtime(report, report_ns);

		unit_capture_begin(&capture);
		again = rota_block_on(rt, fn, NULL);
		reports = metrics(rt).stall_reports;
		rota_runtime_free(rt);
		said = strlen(unit_capture_end(&capture));
		expect(again, >=, 0);
	} while (again != 0);
	expect(reports, ==, 0);
	expect(said, ==, 0);
}

UNIT_TEST(stall, is_not_reported_when_nobody_wants_to_know)
{
	expect_silence(ROTA_STALL_REPORT_OFF, ROTA_MS(1), be_stalled);
}

UNIT_TEST(stall, is_not_reported_before_its_time)
{
	expect_silence(ROTA_STALL_REPORT_STACK, ROTA_SECONDS(1000), be_stalled);
}

static int keep_nobody_waiting(void *arg)
{
	const uint64_t until = rota_now() + ROTA_MS(30);

	(void)arg;
	while (rota_now() < until)
		rota__cpu_relax();
	return 0;
}

static int keep_nobody_waiting_without_spares(void *arg)
{
	leave_the_spares();
	keep_nobody_waiting(arg);
	/* Behind a spare all wait, as far as the monitor knows; and it stays while the only worker is stuck. */
	return metrics(rota_runtime_current()).spares_on_duty > 0;
}

UNIT_TEST(stall, is_none_where_nobody_waits)
{
	expect_silence(ROTA_STALL_REPORT_BRIEF, ROTA_MS(1), keep_nobody_waiting_without_spares);
}

static int block_in_place(void *arg)
{
	(void)arg;
	for (int i = 0; i < 10; i++)
		expect(rota_spawn(NULL, do_nothing, NULL), ==, 0);
	return rota_block_in_place(keep_nobody_waiting, NULL);
}

UNIT_TEST(stall, is_none_where_it_was_said_before)
{
	expect_silence(ROTA_STALL_REPORT_STACK, ROTA_MS(1), block_in_place);
}

/* --- who is to blame ----------------------------------------------------------------------------------------------- */

static bool blames(char state, uint64_t cpu_ns)
{
	const struct rota__stall stall = { .ns = ROTA_MS(100), .cpu_ns = cpu_ns, .state = state };

	return rota__stall_blames(&stall, ROTA_MS(100));
}

UNIT_TEST(stall, of_one_without_a_cpu_is_nobodys_fault)
{
	expect(blames('R', 0), ==, false);
	expect(blames('R', ROTA_MS(50) - 1), ==, false);
	expect(blames('R', ROTA_MS(50)), ==, true); /* among others on its CPU it is reported later, but it is */
	expect(blames('S', 0), ==, true);
	expect(blames('D', 0), ==, true);
	expect(blames('?', 0), ==, true); /* nobody knows */
}

/* --- how often --------------------------------------------------------------------------------------------------- */

static const char places[ROTA__STALL_SITES + 2];

UNIT_TEST(stall, is_reported_once_a_second_for_each_place)
{
	struct rota__stall_sites sites = { .site = { { .place = NULL } } };
	unsigned unreported = 77;
	uint64_t now = SECOND;

	expect(rota__stall_admit(&sites, &places[0], now, &unreported), ==, true);
	expect(unreported, ==, 0);
	expect(rota__stall_admit(&sites, &places[1], now + 1, &unreported), ==, true);
	for (unsigned i = 1; i <= 3; i++)
		expect(rota__stall_admit(&sites, &places[0], now + i, &unreported), ==, false);
	expect(rota__stall_admit(&sites, &places[0], now + SECOND - 1, &unreported), ==, false);
	expect(rota__stall_admit(&sites, &places[0], now + SECOND, &unreported), ==, true);
	expect(unreported, ==, 4);
	expect(rota__stall_admit(&sites, &places[1], now + SECOND + 1, &unreported), ==, true);
	expect(unreported, ==, 0);
}

UNIT_TEST(stall, is_reported_of_so_many_places_in_a_second)
{
	struct rota__stall_sites sites = { .site = { { .place = NULL } } };
	unsigned unreported = 0;
	uint64_t now = SECOND;

	for (unsigned i = 0; i < ROTA__STALL_SITES; i++)
		expect(rota__stall_admit(&sites, &places[i], now + i, &unreported), ==, true);
	expect(rota__stall_admit(&sites, &places[ROTA__STALL_SITES], now + 100, &unreported), ==, false);
	/* The oldest makes room. */
	expect(rota__stall_admit(&sites, &places[ROTA__STALL_SITES], now + SECOND, &unreported), ==, true);
	expect(unreported, ==, 0);
	expect(rota__stall_admit(&sites, &places[0], now + SECOND, &unreported), ==, false);
}

/* --- the signal --------------------------------------------------------------------------------------------------- */

static struct rota_atomic_u32 caught;

static void on_urgent(int number)
{
	(void)number;
	rota__fetch_add(&caught, 1, SEQ_CST);
}

UNIT_TEST(stall, passes_on_signals_that_are_not_its_own)
{
	struct sigaction action = { .sa_handler = on_urgent };
	rota_runtime *rt;

	sigaction(SIGURG, &action, NULL);
	rt = new_runtime(ROTA_STALL_REPORT_STACK, 0);
	raise(SIGURG);
	expect(rota__load(&caught, SEQ_CST), ==, 1);
	rota_runtime_free(rt);
}

UNIT_TEST(stall, takes_no_signal_for_a_line)
{
	struct sigaction action;
	rota_runtime *rt = new_runtime(ROTA_STALL_REPORT_BRIEF, 0);

	sigaction(SIGURG, NULL, &action);
	expect_pointer((void *)(uintptr_t)action.sa_handler, ==, (void *)(uintptr_t)SIG_DFL);
	rota_runtime_free(rt);
}
