/* SPDX-License-Identifier: MIT */
/* oneTBB beside the fork and join benchmarks: the same recursions by task_group, which is what its users write. */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include <pthread.h>

#include <tbb/global_control.h>
#include <tbb/task_arena.h>
#include <tbb/version.h>

#include "peer.h"

static int option_count;
static char **options;

uint64_t option(const char *name, uint64_t otherwise)
{
	for (int i = 1; i + 1 < option_count; i++) {
		if (!std::strncmp(options[i], "--", 2) && !std::strcmp(options[i] + 2, name))
			return std::strtoull(options[i + 1], nullptr, 10);
	}
	return otherwise;
}

static const struct {
	const char *name;
	bool (*run)();
} workloads[] = {
	{ "fork", fork_workload },
	{ "fork_arrays", arrays_workload },
	{ "uts", uts_workload },
};

static bool right = true;

static void *in_arena(void *arg)
{
	bool (*run)() = *static_cast<bool (*const *)()>(arg);
	const unsigned workers = static_cast<unsigned>(option("workers", 0));
	tbb::task_arena arena(workers != 0 ? static_cast<int>(workers) : tbb::task_arena::automatic);

	arena.execute([&] { right = run(); });
	return nullptr;
}

/* On a thread whose stack is as deep as those of TBB's workers. */
int main(int argc, char **argv)
{
	const size_t stack = size_t{ 1 } << 30;
	tbb::global_control control(tbb::global_control::thread_stack_size, stack);
	pthread_attr_t attr;
	pthread_t thread;

	option_count = argc;
	options = argv;
	for (const auto &workload : workloads) {
		if (argc < 2 || std::strcmp(argv[1], workload.name) != 0)
			continue;
		std::printf("# oneTBB %s\n", TBB_VERSION_STRING);
		pthread_attr_init(&attr);
		if (pthread_attr_setstacksize(&attr, stack) != 0 ||
		    pthread_create(&thread, &attr, in_arena, const_cast<bool (**)()>(&workload.run)) != 0)
			return 1;
		pthread_join(thread, nullptr);
		return right ? 0 : 1;
	}
	return 77;
}
