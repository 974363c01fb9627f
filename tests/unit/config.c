/* SPDX-License-Identifier: MIT */
/*
 * Configuration: defaults, what the environment may change and what it may not, and that what makes no sense gives
 * -EINVAL and one line that says what and why.
 */
#define _GNU_SOURCE
#include "../../runtime/runtime_internal.h"
#include "../../runtime/sys_internal.h"
#include "unit.h"

static void clear_environment(void)
{
	unsetenv("ROTA_WORKERS");
	unsetenv("ROTA_BACKEND");
	unsetenv("ROTA_FLAVOR");
	unsetenv("ROTA_RING_ENTRIES");
	unsetenv("ROTA_STALL_REPORT");
}

TestSuite(config, .init = clear_environment);

static struct rota_config resolve(struct rota_config config)
{
	struct unit_capture capture;
	int rc;

	unit_capture_begin(&capture);
	rc = rota__config_resolve(&config);
	expect_text(unit_capture_end(&capture), "");
	expect(rc, ==, 0);
	return config;
}

/* Both by itself and as what rota_runtime_new makes of it. `part` occurs in the line. */
static void expect_refused(struct rota_config config, const char *part)
{
	const unsigned descriptors = unit_descriptors(), threads = unit_threads();
	struct rota_config copy = config;
	rota_runtime *rt = NULL;
	struct unit_capture capture;
	const char *text;
	int rc;

	unit_capture_begin(&capture);
	rc = rota__config_resolve(&copy);
	text = unit_capture_end(&capture);
	expect(rc, ==, -EINVAL);
	expect(unit_lines(text), ==, 1);
	expect(strncmp(text, "rota: ", 6), ==, 0);
	expect_contains(text, part);

	unit_capture_begin(&capture);
	rc = rota_runtime_new(&rt, &config);
	text = unit_capture_end(&capture);
	expect(rc, ==, -EINVAL);
	expect_pointer(rt, ==, NULL);
	expect(unit_lines(text), ==, 1);
	expect_contains(text, part);
	expect(unit_descriptors(), ==, descriptors);
	expect(unit_threads(), ==, threads);
}

static void expect_environment_refused(const char *name, const char *value)
{
	clear_environment();
	setenv(name, value, 1);
	expect_refused((struct rota_config){ 0 }, name);
	if (strlen(value) < 100)
		expect_refused((struct rota_config){ 0 }, value);
}

UNIT_TEST(config, all_zero_means_the_defaults)
{
	struct rota_config config = resolve((struct rota_config){ 0 });

	expect(config.workers, ==, rota__sys_cpus());
	expect(config.max_blocking_threads, ==, 512);
	expect(config.stack_size, ==, 64 * 1024);
	expect(config.backend, ==, ROTA_BACKEND_AUTO);
	expect(config.flavor, ==, ROTA_FLAVOR_MULTI_THREAD);
	expect(config.blocking_idle_ns, ==, ROTA_SECONDS(10));
	expect(config.stall_ns, ==, ROTA_MS(1));
	expect(config.stall_report, >=, ROTA_STALL_REPORT_BRIEF);
	expect(config.stall_report_ns, ==, ROTA_MS(100));
	expect(config.ring_entries, ==, 256);
	expect(config.max_blocking_queue, ==, 4096);
	expect(config.seed, !=, 0);
}

UNIT_TEST(config, what_is_given_is_kept)
{
	const struct rota_config given = {
		.workers = 7,
		.max_blocking_threads = 3,
		.stack_size = 100000,
		.backend = ROTA_BACKEND_IO_URING,
		.flavor = ROTA_FLAVOR_MULTI_THREAD,
		.max_blocking_queue = 5,
		.blocking_idle_ns = 11,
		.ring_entries = 13,
		.seed = 17,
		.stall_ns = 19,
		.stall_report = ROTA_STALL_REPORT_OFF,
		.stall_report_ns = 23,
	};
	struct rota_config config = resolve(given);

	expect(memcmp(&config, &given, sizeof(config)), ==, 0);
}

UNIT_TEST(config, the_largest_and_the_smallest_are_accepted)
{
	expect(resolve((struct rota_config){ .workers = ROTA_MAX_WORKERS }).workers, ==, ROTA_MAX_WORKERS);
	expect(resolve((struct rota_config){ .workers = 1 }).workers, ==, 1);
	resolve((struct rota_config){ .stack_size = ROTA_MIN_STACK_SIZE });
	resolve((struct rota_config){ .stack_size = ROTA_MAX_STACK_SIZE });
	resolve((struct rota_config){ .max_blocking_threads = 1 });
	resolve((struct rota_config){ .max_blocking_queue = 1 });
	resolve((struct rota_config){ .ring_entries = 1 });
}

UNIT_TEST(config, the_environment_sets_what_is_left_open)
{
	setenv("ROTA_WORKERS", "5", 1);
	setenv("ROTA_BACKEND", "io_uring", 1);
	setenv("ROTA_RING_ENTRIES", "7", 1);
	struct rota_config config = resolve((struct rota_config){ 0 });

	expect(config.workers, ==, 5);
	expect(config.ring_entries, ==, 7);
	expect(resolve((struct rota_config){ .ring_entries = 9 }).ring_entries, ==, 9);
	expect(config.backend, ==, ROTA_BACKEND_IO_URING);
	setenv("ROTA_BACKEND", "epoll", 1);
	expect(resolve((struct rota_config){ 0 }).backend, ==, ROTA_BACKEND_EPOLL);
	setenv("ROTA_FLAVOR", "multi_thread", 1);
	expect(resolve((struct rota_config){ 0 }).flavor, ==, ROTA_FLAVOR_MULTI_THREAD);
	setenv("ROTA_FLAVOR", "current_thread", 1);
	expect(resolve((struct rota_config){ 0 }).flavor, ==, ROTA_FLAVOR_CURRENT_THREAD);
	setenv("ROTA_STALL_REPORT", "off", 1);
	expect(resolve((struct rota_config){ 0 }).stall_report, ==, ROTA_STALL_REPORT_OFF);
	setenv("ROTA_STALL_REPORT", "stack", 1);
	expect(resolve((struct rota_config){ 0 }).stall_report, ==, ROTA_STALL_REPORT_STACK);
	setenv("ROTA_STALL_REPORT", "brief", 1);
	expect(resolve((struct rota_config){ 0 }).stall_report, ==, ROTA_STALL_REPORT_BRIEF);
}

UNIT_TEST(config, reports_of_stalls_are_off_brief_or_with_a_stack)
{
	static const char *const values[] = { "1", "full", "Off", "stack ", " brief" };

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		expect_environment_refused("ROTA_STALL_REPORT", values[i]);
	clear_environment();
	expect_refused((struct rota_config){ .stall_report = (enum rota_stall_report)4 }, "4");
}

UNIT_TEST(config, what_is_given_wins_over_the_environment)
{
	setenv("ROTA_WORKERS", "5", 1);
	setenv("ROTA_BACKEND", "epoll", 1);
	struct rota_config config = resolve((struct rota_config){ .workers = 2, .backend = ROTA_BACKEND_IO_URING });

	expect(config.workers, ==, 2);
	expect(config.backend, ==, ROTA_BACKEND_IO_URING);
	setenv("ROTA_FLAVOR", "multi_thread", 1);
	config = resolve((struct rota_config){ .flavor = ROTA_FLAVOR_CURRENT_THREAD });
	expect(config.flavor, ==, ROTA_FLAVOR_CURRENT_THREAD);
}

UNIT_TEST(config, an_empty_variable_is_none)
{
	setenv("ROTA_WORKERS", "", 1);
	setenv("ROTA_BACKEND", "", 1);
	setenv("ROTA_FLAVOR", "", 1);
	struct rota_config config = resolve((struct rota_config){ 0 });

	expect(config.workers, ==, rota__sys_cpus());
	expect(config.backend, ==, ROTA_BACKEND_AUTO);
	expect(config.flavor, ==, ROTA_FLAVOR_MULTI_THREAD);
}

UNIT_TEST(config, the_current_thread_flavor_has_one_worker)
{
	setenv("ROTA_WORKERS", "5", 1);
	expect(resolve((struct rota_config){ .flavor = ROTA_FLAVOR_CURRENT_THREAD }).workers, ==, 1);
	expect(resolve((struct rota_config){ .flavor = ROTA_FLAVOR_CURRENT_THREAD, .workers = 4 }).workers, ==, 1);
}

UNIT_TEST(config, the_affinity_mask_counts)
{
	cpu_set_t set;
	int first = 0;

	expect(sched_getaffinity(0, sizeof(set), &set), ==, 0);
	while (!CPU_ISSET(first, &set))
		first++;
	CPU_ZERO(&set);
	CPU_SET(first, &set);
	expect(sched_setaffinity(0, sizeof(set), &set), ==, 0);
	expect(resolve((struct rota_config){ 0 }).workers, ==, 1);
}

UNIT_TEST(config, absurd_fields_are_refused)
{
	expect_refused((struct rota_config){ .workers = ROTA_MAX_WORKERS + 1 }, "workers");
	expect_refused((struct rota_config){ .workers = UINT32_MAX }, "4294967295");
	expect_refused((struct rota_config){ .stack_size = ROTA_MIN_STACK_SIZE - 1 }, "stack");
	expect_refused((struct rota_config){ .stack_size = 1 }, "stack");
	expect_refused((struct rota_config){ .stack_size = ROTA_MAX_STACK_SIZE + 1 }, "stack");
	expect_refused((struct rota_config){ .stack_size = SIZE_MAX }, "stack");
	expect_refused((struct rota_config){ .max_blocking_threads = UINT32_MAX }, "blocking threads");
	expect_refused((struct rota_config){ .ring_entries = UINT32_MAX }, "ring");
	expect_refused((struct rota_config){ .backend = (enum rota_backend)3 }, "back end");
	expect_refused((struct rota_config){ .backend = (enum rota_backend) - 1 }, "back end");
	expect_refused((struct rota_config){ .flavor = (enum rota_flavor)2 }, "flavor");
	expect_refused((struct rota_config){ .flavor = (enum rota_flavor) - 1 }, "flavor");
}

UNIT_TEST(config, a_bad_ROTA_WORKERS_is_refused)
{
	static const char *const values[] = {
		"0", "-1", "+2", " 2", "2 ", "two", "2x", "0x4", "1025", "4294967297", "99999999999999999999999", "1.5"
	};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		expect_environment_refused("ROTA_WORKERS", values[i]);
}

UNIT_TEST(config, a_bad_ROTA_BACKEND_is_refused)
{
	static const char *const values[] = { "iouring", "IO_URING", "io_uring ", "kqueue", "0" };

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		expect_environment_refused("ROTA_BACKEND", values[i]);
}

UNIT_TEST(config, a_bad_ROTA_RING_ENTRIES_is_refused)
{
	static const char *const values[] = { "0", "-1", "many", "32769", "8 " };

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		expect_environment_refused("ROTA_RING_ENTRIES", values[i]);
}

UNIT_TEST(config, a_bad_ROTA_FLAVOR_is_refused)
{
	static const char *const values[] = { "single", "MULTI_THREAD", "current_thread,", "1" };

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		expect_environment_refused("ROTA_FLAVOR", values[i]);
}

UNIT_TEST(config, a_very_long_value_makes_one_line)
{
	static char value[100000];

	memset(value, 'x', sizeof(value) - 1);
	expect_environment_refused("ROTA_WORKERS", value);
	expect_environment_refused("ROTA_BACKEND", value);
	expect_environment_refused("ROTA_FLAVOR", value);
}

static int main_of_run(int argc, char **argv)
{
	(void)argv;
	return argc;
}

UNIT_TEST(config, rota_run_reads_the_environment_too)
{
	struct unit_capture capture;
	char *argv[] = { NULL };
	int rc;

	setenv("ROTA_WORKERS", "many", 1);
	unit_capture_begin(&capture);
	rc = rota_run(main_of_run, 3, argv);
	expect(unit_lines(unit_capture_end(&capture)), ==, 1);
	expect(rc, ==, -EINVAL);
	setenv("ROTA_WORKERS", "2", 1);
	expect(rota_run(main_of_run, 3, argv), ==, 3);
	setenv("ROTA_FLAVOR", "current_thread", 1);
	expect(rota_run(main_of_run, 4, argv), ==, 4);
}
