/* SPDX-License-Identifier: MIT */
/*
 * The resolver's lane, with a resolver of the test's own: what is asked once, what is cut, who waits for whom, and that
 * nothing waits for a resolver that is stuck.
 */
#define _GNU_SOURCE
#include "../../io/resolve.h"

#include <arpa/inet.h>
#include <pthread.h>

#include "../../io/fs.h"
#include "../../io/resolve_internal.h"
#include "../../runtime/sys_internal.h"
#include "places.h"
#include "plain.h"
#include "resolver.h"

static const char *const two_addresses[] = { "127.0.0.2", "::1", NULL };

static void expect_address(const struct rota_address *address, const char *text, int port)
{
	char is[INET6_ADDRSTRLEN];

	if (address->addr.any.sa_family == AF_INET) {
		expect(address->len, ==, sizeof(address->addr.in));
		expect(ntohs(address->addr.in.sin_port), ==, port);
		inet_ntop(AF_INET, &address->addr.in.sin_addr, is, sizeof(is));
	} else {
		expect(address->len, ==, sizeof(address->addr.in6));
		expect(ntohs(address->addr.in6.sin6_port), ==, port);
		inet_ntop(AF_INET6, &address->addr.in6.sin6_addr, is, sizeof(is));
	}
	expect_text(is, text);
}

static int carry(const struct place *place, const char *host, const char *port, unsigned flags,
		 struct rota_address *ret, unsigned max)
{
	struct rota_resolve_op op;

	rota_op_resolve(&op, host, port, flags, ret, max);
	return place->carry(place, &op.future);
}

/* --- answers ---------------------------------------------------------------------------------------------------- */

static void answers_script(const struct place *place)
{
	struct rota_address found[3];

	resolver_set(0, two_addresses);
	expect(carry(place, "127.0.0.1", "80", 0, found, 3), ==, 1);
	expect_address(&found[0], "127.0.0.1", 80);
	expect(carry(place, "::1", NULL, 0, found, 3), ==, 1);
	expect_address(&found[0], "::1", 0);
	expect(carry(place, NULL, "7", ROTA_RESOLVE_IPV4, found, 3), ==, 1);
	expect_address(&found[0], "127.0.0.1", 7);
	expect(carry(place, NULL, "7", ROTA_RESOLVE_IPV4 | ROTA_RESOLVE_PASSIVE, found, 3), ==, 1);
	expect_address(&found[0], "0.0.0.0", 7);
	expect(resolver_asked(), ==, 0);

	expect(carry(place, "name.test", "65535", 0, found, 3), ==, 2);
	expect_address(&found[0], "127.0.0.2", 65535);
	expect_address(&found[1], "::1", 65535);
	found[1].addr.in.sin_port = 1234;
	expect(carry(place, "name.test", NULL, 0, found, 1), ==, 1); /* no more than there is room for */
	expect_address(&found[0], "127.0.0.2", 0);
	expect(found[1].addr.in.sin_port, ==, 1234);
	expect(resolver_asked(), ==, 2);
	resolver_set(0, NULL);
}

UNIT_TEST(resolve, answers)
{
	everyhow(answers_script);
}

static void refused_script(const struct place *place)
{
	static const char *const no_ports[] = { "", "+80", " 80", "-80", "\t0" };
	static char long_name[1026];
	struct rota_address found[2];

	memset(long_name, 'a', sizeof(long_name) - 1);
	resolver_set(EAI_NONAME, NULL);
	expect(carry(place, "name.test", "1", 0, found, 0), ==, -EINVAL);
	expect(carry(place, NULL, NULL, 0, found, 2), ==, -EINVAL);
	expect(carry(place, "name.test", "1", ROTA_RESOLVE_IPV4 | ROTA_RESOLVE_IPV6, found, 2), ==, -EINVAL);
	expect(carry(place, "name.test", "1", 1u << 16, found, 2), ==, -EINVAL);
	expect(carry(place, long_name, "1", 0, found, 2), ==, -EINVAL);
	expect(carry(place, "name.test", long_name, 0, found, 2), ==, -EINVAL);
	expect(resolver_asked(), ==, 0);
	expect(carry(place, "name.test", "1", 0, found, 2), ==, -ENOENT);
	expect(rota_resolve("127.0.0.1", "no such service", 0, found, 2), ==, -ENOENT);
	for (unsigned i = 0; i < sizeof(no_ports) / sizeof(no_ports[0]); i++) {
		expect(carry(place, "127.0.0.1", no_ports[i], 0, found, 2), ==, -ENOENT);
		expect(carry(place, NULL, no_ports[i], 0, found, 2), ==, -ENOENT);
	}
	expect(carry(place, "127.0.0.1", "65536", 0, found, 2), ==, -ENOENT);
	expect(carry(place, "name.test", "18446744073709551696", 0, found, 2), ==, -ENOENT);
	expect(carry(place, NULL, "70000", 0, found, 2), ==, -ENOENT);
	expect(carry(place, "127.0.0.1", "65535", 0, found, 2), ==, 1);
	resolver_set(0, NULL);
}

UNIT_TEST(resolve, refused)
{
	everyhow(refused_script);
}

/* The lane has no thread yet, and can have none. */
static void no_thread_script(const struct place *place)
{
	struct rota_address found[2];

	unit_no_more_spares(place->rt);
	resolver_set(0, two_addresses);
	rota__fault_arm(ROTA__FAULT_THREAD, 1, -EAGAIN);
	expect(carry(place, "name.test", "1", 0, found, 2), ==, -EAGAIN);
	expect(carry(place, "name.test", "1", 0, found, 2), ==, 2);
	resolver_set(0, NULL);
}

UNIT_TEST(resolve, no_thread_of_a_fiber)
{
	place_run(&place_kinds[1], 0, no_thread_script, NULL);
}

UNIT_TEST(resolve, no_thread_of_a_plain_thread)
{
	place_run(&place_kinds[0], 0, no_thread_script, NULL);
}

static void no_memory_script(const struct place *place)
{
	struct rota_address found[2];

	unit_no_more_spares(place->rt);
	resolver_set(0, two_addresses);
	rota__fault_arm(ROTA__FAULT_ALLOC, 1, -ENOMEM);
	expect(rota_resolve("name.test", "1", 0, found, 2), ==, -ENOMEM);
	rota__fault_arm(ROTA__FAULT_ALLOC, 0, 0);
	resolver_set(0, NULL);
}

UNIT_TEST(resolve, no_memory)
{
	in_fibers(no_memory_script, 0);
}

/* --- a thread that cannot be made beside one that is stuck ---------------------------------------------------------- */

static int ask_name(void *arg)
{
	struct rota_address found[2];

	return rota_resolve(arg, "1", 0, found, 2);
}

static rota_task *ask_beside_one_stuck(rota_runtime *rt, uint32_t failing, rota_task **ret_stuck)
{
	rota_task *task;

	unit_no_more_spares(rt);
	resolver_set(0, two_addresses);
	resolver.slow = true;
	*ret_stuck = unit_spawn(ask_name, "stuck.test");
	resolver_until_asked(1);
	rota__fault_arm(ROTA__FAULT_THREAD, failing, -EAGAIN);
	task = unit_spawn(ask_name, "name.test");
	unit_until_resting(task);
	return task;
}

static void made_later_script(const struct place *place)
{
	rota_task *stuck, *task = ask_beside_one_stuck(place->rt, ROTA__FAULT_EACH, &stuck), *joins;

	joins = unit_spawn(ask_name, "name.test");
	unit_until_resting(joins);
	expect(rota_sleep(ROTA_MS(30)), ==, 0);
	expect(resolver_asked(), ==, 1);
	rota__fault_arm(ROTA__FAULT_THREAD, 0, 0);
	resolver_until_asked(2);
	resolver_open_gate();
	unit_expect_join(stuck, 2);
	unit_expect_join(task, 2);
	unit_expect_join(joins, 2);
	expect(resolver_asked(), ==, 2);
	resolver_set(0, NULL);
}

UNIT_TEST(resolve, a_thread_that_cannot_be_made_beside_one_that_is_stuck_is_made_later)
{
	place_run(&place_kinds[1], 0, made_later_script, NULL);
}

UNIT_TEST(resolve, a_thread_that_cannot_be_made_is_made_later_for_the_caller_too)
{
	place_run(&place_kinds[2], 0, made_later_script, NULL);
}

static void given_up_script(const struct place *place)
{
	rota_task *stuck, *task = ask_beside_one_stuck(place->rt, ROTA__FAULT_EACH, &stuck);

	rota_cancel(task);
	unit_expect_join(task, -ECANCELED);
	rota__fault_arm(ROTA__FAULT_THREAD, 0, 0);
	task = unit_spawn(ask_name, "other.test"); /* which needs a thread of its own */
	resolver_until_asked(2);
	resolver_open_gate();
	unit_expect_join(stuck, 2);
	unit_expect_join(task, 2);
	resolver_set(0, NULL);
}

UNIT_TEST(resolve, what_waits_for_a_thread_can_be_given_up)
{
	place_run(&place_kinds[1], 0, given_up_script, NULL);
}

/* The threads that there are take what waits, and nothing is left to look at. */
static void taken_by_others_script(const struct place *place)
{
	rota_task *stuck, *task = ask_beside_one_stuck(place->rt, ROTA__FAULT_EACH, &stuck);

	resolver_open_gate();
	unit_expect_join(stuck, 2);
	unit_expect_join(task, 2);
	rota__fault_arm(ROTA__FAULT_THREAD, 0, 0);
	expect_eventually(rota__resolver_look(rota_now()) == ROTA_NEVER);
	resolver_set(0, NULL);
}

UNIT_TEST(resolve, a_thread_that_comes_back_takes_what_waits_for_another)
{
	place_run(&place_kinds[1], 0, taken_by_others_script, NULL);
}

/* --- asked once --------------------------------------------------------------------------------------------------- */

#define MANY 100

static int ask_port(void *arg)
{
	struct rota_address found[2];
	char port[8];
	int rc;

	snprintf(port, sizeof(port), "%d", (int)(intptr_t)arg);
	rc = rota_resolve("name.test", port, 0, found, 2);
	if (rc == 2)
		expect_address(&found[1], "::1", (int)(intptr_t)arg);
	return rc;
}

/* Many ask, of whom every third goes away again, while the first is being answered. */
static void once_script(const struct place *place)
{
	rota_task *task[MANY];

	(void)place;
	resolver_set(0, two_addresses);
	resolver.slow = true;
	for (int i = 0; i < MANY; i++)
		task[i] = unit_spawn(ask_port, (void *)(intptr_t)(i + 1));
	for (int i = 0; i < MANY; i++)
		unit_until_resting(task[i]);
	for (int i = 0; i < MANY; i += 3) {
		rota_cancel(task[i]);
		unit_expect_join(task[i], -ECANCELED);
	}
	resolver_open_gate();
	for (int i = 0; i < MANY; i++) {
		if (i % 3 != 0)
			unit_expect_join(task[i], 2);
	}
	expect(resolver_asked(), ==, 1);
	expect(ask_port((void *)1), ==, 2); /* nothing is kept */
	expect(resolver_asked(), ==, 2);
	resolver_set(0, NULL);
}

UNIT_TEST(resolve, the_same_name_is_asked_once)
{
	in_fibers(once_script, 0);
}

/* --- a stuck resolver ----------------------------------------------------------------------------------------------- */

#define LANE_THREADS 4

static char *const stuck_names[LANE_THREADS] = { "a.test", "b.test", "c.test", "d.test" };

static void ask_stuck(rota_task **task)
{
	resolver_set(0, two_addresses);
	resolver.slow = true;
	for (int i = 0; i < LANE_THREADS; i++)
		task[i] = unit_spawn(ask_name, stuck_names[i]);
	resolver_until_asked(LANE_THREADS);
}

static int seven(void *arg)
{
	return *(int *)arg;
}

/* All threads of the lane are stuck: jobs and numbers are not, and what waits for one of them can be given up. */
static void stuck_script(const struct place *place)
{
	rota_task *task[LANE_THREADS], *queued, *joins;
	struct rota_address found[2];
	int n = 7;

	(void)place;
	ask_stuck(task);
	queued = unit_spawn(ask_name, "e.test");
	joins = unit_spawn(ask_name, "e.test");
	unit_until_resting(queued);
	unit_until_resting(joins);
	expect(rota_offload(seven, &n), ==, 7);
	expect(rota_resolve("127.0.0.1", "1", 0, found, 2), ==, 1);
	rota_cancel(queued);
	unit_expect_join(queued, -ECANCELED);
	rota_cancel(joins);
	unit_expect_join(joins, -ECANCELED);
	queued = unit_spawn(ask_name, "f.test");
	unit_until_resting(queued);
	resolver_open_gate();
	for (int i = 0; i < LANE_THREADS; i++)
		unit_expect_join(task[i], 2);
	unit_expect_join(queued, 2);
	expect(resolver_asked(), ==, LANE_THREADS + 1); /* nobody waited for e.test any more */
	resolver_set(0, NULL);
}

UNIT_TEST(resolve, stuck)
{
	in_fibers(stuck_script, 0);
}

/* One pool thread is enough for files, however many names are stuck. */
static int work_with_files(void *arg)
{
	rota_task *task[LANE_THREADS];
	char directory[200], path[256], link[16] = "";

	(void)arg;
	ask_stuck(task);
	plain_directory(directory);
	snprintf(path, sizeof(path), "%s/link", directory);
	expect(rota_symlink("elsewhere", path), ==, 0);
	expect(rota_readlink(path, link, sizeof(link)), ==, 9); /* by a pool thread with each back end */
	expect_text(link, "elsewhere");
	expect(rota_unlink(path), ==, 0);
	expect(rota_rmdir(directory), ==, 0);
	expect(__atomic_load_n(&resolver.answered, __ATOMIC_ACQUIRE), ==, 0);
	resolver_open_gate();
	for (int i = 0; i < LANE_THREADS; i++)
		unit_expect_join(task[i], 2);
	resolver_set(0, NULL);
	return 0;
}

UNIT_TEST(resolve, stuck_names_hold_no_pool_thread)
{
	static const enum rota_flavor flavors[] = { ROTA_FLAVOR_MULTI_THREAD, ROTA_FLAVOR_CURRENT_THREAD };

	for (int i = 0; i < 2; i++) {
		const struct rota_config config = { .workers = 2, .flavor = flavors[i], .max_blocking_threads = 1 };
		rota_runtime *rt;

		unsetenv("ROTA_FLAVOR");
		expect(rota_runtime_new(&rt, &config), ==, 0);
		expect(rota_block_on(rt, work_with_files, NULL), ==, 0);
		place_runtime_free(rt);
	}
}

static int leave_stuck(void *arg)
{
	rota_task *task[LANE_THREADS];

	(void)arg;
	ask_stuck(task);
	for (int i = 0; i < LANE_THREADS; i++)
		rota_detach(task[i]);
	return 0;
}

UNIT_TEST(resolve, a_stuck_resolver_outlives_the_runtime)
{
	static const enum rota_flavor flavors[] = { ROTA_FLAVOR_MULTI_THREAD, ROTA_FLAVOR_CURRENT_THREAD };

	for (int i = 0; i < 2; i++) {
		rota_runtime *rt = place_runtime(flavors[i], 0);

		expect(rota_block_on(rt, leave_stuck, NULL), ==, 0);
		place_runtime_free(rt);
		expect(__atomic_load_n(&resolver.answered, __ATOMIC_ACQUIRE), ==, 0);
		resolver_open_gate();
		expect_eventually(resolver_done(LANE_THREADS));
	}
}

/* --- answer against cancel ------------------------------------------------------------------------------------------- */

/* A runtime that ends just when the answer comes; a cancel at any point: the count, or -ECANCELED. */
static int race(void *arg)
{
	const int i = *(int *)arg;
	rota_task *task = unit_spawn(ask_name, "name.test");
	int status;

	for (int k = 0; k < i % 30; k++)
		sched_yield();
	rota_cancel(task);
	expect(rota_join(task, &status), ==, 0);
	if (status != -ECANCELED)
		expect(status, ==, 2);
	return 0;
}

UNIT_TEST(resolve, cancelled_at_any_point)
{
	static const enum rota_flavor flavors[] = { ROTA_FLAVOR_MULTI_THREAD, ROTA_FLAVOR_CURRENT_THREAD };

	resolver_set(0, two_addresses);
	for (int i = 0; i < 100; i++) {
		rota_runtime *rt = place_runtime(flavors[i % 2], 0);

		expect(rota_block_on(rt, race, &i), ==, 0);
		place_runtime_free(rt);
	}
	expect_eventually(resolver_done(resolver_asked()));
}
