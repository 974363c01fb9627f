/* SPDX-License-Identifier: MIT */
/*
 * A blocking pool with little room and threads that leave at once, under fibers, stackless tasks' offloads and plain
 * threads that all want it. Jobs and callers are cancelled at random moments; threads cannot always be made, and step aside as
 * for calls that may wait for ever. Each job runs once or was cancelled, never both, never more at a time than there may be
 * threads, and the pool is empty in the end.
 */
#define _GNU_SOURCE
#include "runtime_report.h"
#include "semaphore.h"

#define CUSTOMERS 12u
#define ORDERS STRESS_FEWER(800u) /* of each, in a round */

static rota_runtime *runtime_now;
static unsigned threads_max;
static struct rota_atomic_u32 at_once, ran_total, cancelled_total, refused_total;

static void report(void)
{
	if (runtime_now != NULL)
		runtime_report(runtime_now);
}

/* What a job does, and whether it did it. */
struct order {
	struct rota_atomic_u32 runs;
	uint32_t work;
	bool aside;
	int status;
};

/* As the thread of an errand does. */
static void be_aside(uint32_t work)
{
	rota__blocking_step_aside(runtime_now);
	if (work % 3 == 0)
		usleep(50);
	for (uint32_t n = work; n > 0; n--)
		rota__cpu_relax();
	rota__blocking_step_back(runtime_now);
}

static int carry_out(void *arg)
{
	struct order *order = arg;

	expect(rota__fetch_add(&at_once, 1, SEQ_CST), <, threads_max);
	expect(rota__fetch_add(&order->runs, 1, SEQ_CST), ==, 0);
	if (order->work == 0)
		usleep(50);
	for (uint32_t n = order->work; n > 0; n--)
		rota__cpu_relax();
	rota__fetch_sub(&at_once, 1, SEQ_CST);
	if (order->aside)
		be_aside(order->work); /* after it there may be one too many, so it does no more */
	return order->status;
}

static void settle(const struct order *order, int status)
{
	const uint32_t runs = rota__load(&order->runs, SEQ_CST);

	expect(status == -ECANCELED || status == order->status, ==, 1);
	expect(runs, ==, status != -ECANCELED);
	rota__fetch_add(runs > 0 ? &ran_total : &cancelled_total, 1, RELAXED);
	stress_moved();
}

struct customer {
	struct stress_random random;
	rota_runtime *rt;
	rota_task *task;
	struct rota_atomic_u32 done;
};

static struct order new_order(struct stress_random *random)
{
	return (struct order){
		.work = stress_below(random, 1000) * stress_below(random, 3),
		.aside = stress_one_in(random, 4),
		.status = (int)stress_below(random, 1000),
	};
}

/* As a job with a handle, perhaps cancelled. */
static void order_a_job(struct customer *customer)
{
	struct order order = new_order(&customer->random);
	rota_task *job = NULL;
	int status = 0;
	int rc = rota_spawn_blocking(&job, carry_out, &order);

	if (rc < 0) {
		expect(rc == -EAGAIN || rc == -ECANCELED, ==, 1);
		expect(rota__load(&order.runs, SEQ_CST), ==, 0);
		rota__fetch_add(&refused_total, 1, RELAXED);
		return;
	}
	stress_pause(&customer->random);
	if (stress_one_in(&customer->random, 3))
		expect(rota_cancel(job), ==, 0);
	/* The order lies on this stack: whoever is cancelled waits on behind a shield. */
	rota_shield_enter();
	expect(rota_join(job, &status), ==, 0);
	rota_shield_leave();
	settle(&order, status);
}

static void order_an_offload(struct customer *customer)
{
	struct order order = new_order(&customer->random);
	int status = rota_offload(carry_out, &order);

	if (status == -EAGAIN)
		rota__fetch_add(&refused_total, 1, RELAXED);
	else
		settle(&order, status);
}

/* As a future, in a stackless task or awaited, perhaps cancelled. */
static void order_a_future(struct customer *customer)
{
	struct order order = new_order(&customer->random);
	struct rota_offload_op op;
	rota_task *task = NULL;
	int status;

	rota_offload_init(&op, carry_out, &order);
	rota_shield_enter();
	if (stress_one_in(&customer->random, 2)) {
		status = rota_await(&op.future);
	} else {
		expect(rota_spawn_future(&task, &op.future), ==, 0);
		stress_pause(&customer->random);
		if (stress_one_in(&customer->random, 3))
			rota_cancel(task);
		expect(rota_join(task, &status), ==, 0);
	}
	rota_shield_leave();
	if (status == -EAGAIN)
		rota__fetch_add(&refused_total, 1, RELAXED);
	else
		settle(&order, status);
}

/* Until all orders are placed, or it is cancelled itself: then a few more are, to no avail. */
static int buy(void *arg)
{
	struct customer *customer = arg;
	unsigned after_cancel = 0;

	for (unsigned i = 0; i < ORDERS && after_cancel < 5; i++) {
		switch (stress_below(&customer->random, 4)) {
		case 0:
			order_an_offload(customer);
			break;
		case 1:
			order_a_future(customer);
			break;
		default:
			order_a_job(customer);
		}
		after_cancel += rota_cancelled();
	}
	rota__store(&customer->done, 1, SEQ_CST);
	return 0;
}

/* Makes threads fail to come, and cancels some of the customers in the middle of it. */
static int disturb(void *arg)
{
	struct customer *customers = arg;
	struct stress_random random = stress_random_new((uintptr_t)rota_task_id());

	for (unsigned i = 0; i < CUSTOMERS; i += 3) {
		rota_sleep(stress_below(&random, ROTA_MS(5)));
		rota__fault_arm(ROTA__FAULT_THREAD, 1, -EAGAIN);
		rota_cancel(customers[i].task);
	}
	for (unsigned i = 0; i < CUSTOMERS; i++) {
		while (rota__load(&customers[i].done, SEQ_CST) == 0) {
			rota_sleep(stress_below(&random, ROTA_MS(1)));
			rota__fault_arm(ROTA__FAULT_THREAD, 1 + stress_below(&random, 3), -EAGAIN);
		}
	}
	rota__fault_arm(ROTA__FAULT_THREAD, 0, 0);
	return 0;
}

static int open_shop(void *arg)
{
	struct customer *customers = arg;
	rota_task *disturber;

	for (unsigned i = 0; i < CUSTOMERS; i++)
		expect(rota_spawn(&customers[i].task, buy, &customers[i]), ==, 0);
	expect(rota_spawn(&disturber, disturb, customers), ==, 0);
	for (unsigned i = 0; i < CUSTOMERS; i++) {
		/* The disturber holds the handles until it has seen all end. */
		while (rota__load(&customers[i].done, SEQ_CST) == 0)
			expect(rota_sleep(ROTA_US(200)), ==, 0);
	}
	expect(rota_join(disturber, NULL), ==, 0);
	for (unsigned i = 0; i < CUSTOMERS; i++)
		expect(rota_join(customers[i].task, NULL), ==, 0);
	return 0;
}

static void round_of(struct stress_random *random, enum rota_flavor flavor)
{
	const struct rota_config config = {
		.workers = 1 + stress_below(random, 3),
		.flavor = flavor,
		.max_blocking_threads = 1 + stress_below(random, 4),
		.max_blocking_queue = 1 + stress_below(random, 6),
		.blocking_idle_ns = stress_one_in(random, 2) ? 1 : ROTA_US(100),
	};
	struct customer customers[CUSTOMERS] = { { .rt = NULL } };
	rota_runtime *rt;

	threads_max = config.max_blocking_threads;
	expect(rota_runtime_new(&rt, &config), ==, 0);
	runtime_now = rt;
	for (unsigned i = 0; i < CUSTOMERS; i++) {
		customers[i].rt = rt;
		customers[i].random = stress_random_new(stress_next(random));
	}
	expect(rota_block_on(rt, open_shop, customers), ==, 0);
	expect(rota_runtime_shutdown(rt, ROTA_NEVER), ==, 0);
	expect(rt->blocking.queued, ==, 0);
	expect(rt->blocking.promised, ==, 0);
	expect(rt->blocking.running, ==, 0);
	expect(rt->blocking.threads, ==, 0);
	expect(rt->blocking.making, ==, 0);
	expect(rt->blocking.aside, ==, 0);
	expect(rt->blocking.arriving, ==, 0);
	expect(rota__waitlist_empty(&rt->blocking.submitters), ==, 1);
	runtime_now = NULL;
	rota_runtime_free(rt);
}

int main(int argc, char **argv)
{
	struct stress_random random;

	unsetenv("ROTA_FLAVOR");
	stress_start(argc, argv, report);
	random = stress_random_new(0);
	for (unsigned i = 0; i < 6 * stress_scale; i++)
		round_of(&random, i % 3 == 2 ? ROTA_FLAVOR_CURRENT_THREAD : ROTA_FLAVOR_MULTI_THREAD);
	printf("%u jobs ran, %u were cancelled, %u refused\n", rota__load(&ran_total, RELAXED),
	       rota__load(&cancelled_total, RELAXED), rota__load(&refused_total, RELAXED));
	return 0;
}
