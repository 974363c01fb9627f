/* SPDX-License-Identifier: MIT */
/*
 * Boost.Fiber beside benchmarks/spawn.c, yield.c, pingpong.c, oneshot.c, mpsc.c, channel.c, mutex.c and switch.c:
 * boost-peer WORKLOAD --round [--NAME VALUE]... runs one round and prints lines of `name value unit`. As many threads as there are workers, which steal from one another.
 * Exit code 77: no such workload here.
 */
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#include <boost/context/fiber.hpp>
#include <boost/fiber/all.hpp>
#include <boost/version.hpp>

#include "option.h"

namespace fibers = boost::fibers;
using clock_type = std::chrono::steady_clock;

static double repeat(uint64_t ms, const std::function<void()> &step)
{
	const auto start = clock_type::now();
	for (uint64_t steps = 1;; steps++) {
		step();
		const auto elapsed = clock_type::now() - start;
		if (elapsed >= std::chrono::milliseconds(ms))
			return std::chrono::duration<double, std::nano>(elapsed).count() / static_cast<double>(steps);
	}
}

/* Calls step through the warm-up and then through the round; nanoseconds per step of the latter. */
static double timed(const std::function<void()> &step)
{
	repeat(option("warmup-ms", 200), step);
	return repeat(option("round-ms", 500), step);
}

/* Runs `work` as a fiber of the first of so many threads, all of which run fibers. */
static void on_workers(const std::function<void()> &work)
{
	const unsigned workers = static_cast<unsigned>(option("workers", 2));
	std::vector<std::thread> threads;
	fibers::mutex lock;
	fibers::condition_variable_any over;
	bool done = false;

	for (unsigned i = 1; i < workers; i++) {
		threads.emplace_back([&] {
			fibers::use_scheduling_algorithm<fibers::algo::work_stealing>(workers, true);
			std::unique_lock<fibers::mutex> held(lock);
			over.wait(held, [&] { return done; });
		});
	}
	fibers::use_scheduling_algorithm<fibers::algo::work_stealing>(workers, true);
	work();
	{
		std::unique_lock<fibers::mutex> held(lock);
		done = true;
	}
	over.notify_all();
	for (std::thread &thread : threads)
		thread.join();
}

static void crowd(uint64_t n, const std::function<void()> &work)
{
	std::vector<fibers::fiber> all;
	all.reserve(n);
	for (uint64_t i = 0; i < n; i++)
		all.emplace_back(work);
	for (fibers::fiber &one : all)
		one.join();
}

static void chained(uint64_t length)
{
	fibers::promise<void> done;
	std::function<void(uint64_t)> link = [&](uint64_t left) {
		if (left == 0)
			done.set_value();
		else
			fibers::fiber(link, left - 1).detach();
	};
	link(length);
	done.get_future().wait();
}

static void spawn()
{
	const uint64_t tasks = option("tasks", 10000), chain = option("chain", 1000);
	std::printf("spawn_join %g ns\n", timed([&] { crowd(tasks, [] {}); }) / static_cast<double>(tasks));
	std::printf("chained_spawn %g ns\n", timed([&] { chained(chain); }) / static_cast<double>(chain));
}

static void yield()
{
	const uint64_t tasks = option("tasks", 200), yields = option("yields", 1000);
	const auto work = [&] {
		for (uint64_t i = 0; i < yields; i++)
			boost::this_fiber::yield();
	};
	std::printf("yield_many %g ns\n", timed([&] { crowd(tasks, work); }) / static_cast<double>(tasks * yields));
	std::printf("yield_one %g ns\n", timed([&] { crowd(1, work); }) / static_cast<double>(yields));
}

static void pingpong()
{
	const uint64_t trips = option("trips", 1000);
	std::printf("pingpong %g ns\n", timed([&] {
		fibers::buffered_channel<uint64_t> ping(2), pong(2); /* the smallest that there are */
		fibers::fiber other([&] {
			uint64_t value;
			while (ping.pop(value) == fibers::channel_op_status::success)
				pong.push(value + 1);
		});
		for (uint64_t i = 0, answer; i < trips; i++) {
			ping.push(i);
			pong.pop(answer);
		}
		ping.close();
		other.join();
	}) / static_cast<double>(trips));
}

static void mutex()
{
	const uint64_t tasks = option("tasks", 64), locks = option("locks", 1000);
	fibers::mutex lock;
	uint64_t value = 0;
	const auto work = [&] {
		for (uint64_t i = 0; i < locks; i++) {
			lock.lock();
			value++;
			lock.unlock();
		}
	};
	std::printf("mutex_uncontended %g ns\n", timed(work) / static_cast<double>(locks));
	std::printf("mutex %g ns\n", timed([&] { crowd(tasks, work); }) / static_cast<double>(tasks * locks));
}

static void oneshot()
{
	const uint64_t values = option("values", 1000);
	std::printf("oneshot %g ns\n", timed([&] {
		for (uint64_t i = 0; i < values; i++) {
			fibers::promise<uint64_t> once;
			fibers::future<uint64_t> value = once.get_future();
			fibers::fiber sender([&, i] { once.set_value(i); });

			if (value.get() != i)
				std::abort();
			sender.join();
		}
	}) / static_cast<double>(values));
}

/* So many fibers send so many messages each, over one channel; nanoseconds for each of them. */
static double send_and_receive(uint64_t producers, uint64_t messages, uint64_t capacity)
{
	return timed([=] {
		fibers::buffered_channel<uint64_t> channel(capacity);
		std::vector<fibers::fiber> senders;
		uint64_t sum = 0;

		for (uint64_t i = 0; i < producers; i++) {
			senders.emplace_back([&] {
				for (uint64_t k = 0; k < messages; k++)
					channel.push(k);
			});
		}
		for (uint64_t i = 0; i < producers * messages; i++)
			sum += channel.value_pop();
		for (fibers::fiber &sender : senders)
			sender.join();
		if (sum != producers * (messages * (messages - 1) / 2))
			std::abort();
	}) / static_cast<double>(producers * messages);
}

/* A channel's capacity is a power of two, one place of which stays empty. */
static void mpsc()
{
	std::printf("mpsc %g ns\n", send_and_receive(option("producers", 4), option("messages", 10000), 1024));
}

static void channel()
{
	std::printf("channel %g elements/s\n", 1e9 / send_and_receive(1, option("messages", 100000), 4096));
}

/* Boost.Context, which the fibers stand on. */
static void raw_switch()
{
	const uint64_t switches = option("switches", 1000000);
	bool stop = false;
	boost::context::fiber other([&](boost::context::fiber &&host) {
		while (!stop)
			host = std::move(host).resume();
		return std::move(host);
	});
	std::printf("switch %g ns\n", timed([&] {
		for (uint64_t i = 0; i < switches / 2; i++)
			other = std::move(other).resume();
	}) / static_cast<double>(switches));
	stop = true;
	other = std::move(other).resume();
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)();
	} workloads[] = { { "spawn", spawn },	    { "yield", yield }, { "pingpong", pingpong }, { "mutex", mutex },
			  { "oneshot", oneshot }, { "mpsc", mpsc },   { "channel", channel } };

	option_init(argc, argv);
	std::printf("# Boost.Fiber %d.%d\n", BOOST_VERSION / 100000, BOOST_VERSION / 100 % 1000);
	if (argc >= 2 && !std::strcmp(argv[1], "switch")) {
		raw_switch();
		return 0;
	}
	for (const auto &workload : workloads) {
		if (argc >= 2 && !std::strcmp(argv[1], workload.name)) {
			on_workers(workload.run);
			return 0;
		}
	}
	return 77;
}
