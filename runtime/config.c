/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log_internal.h"
#include "runtime_internal.h"
#include "sys_internal.h"

#define DEFAULT_STACK_SIZE ((size_t)64 * 1024)
#define DEFAULT_BLOCKING_THREADS 512u
#define DEFAULT_BLOCKING_QUEUE 4096u
#define DEFAULT_BLOCKING_IDLE_NS 10000000000u
#define DEFAULT_RING_ENTRIES 256u
#define DEFAULT_STALL_NS 1000000u
#define DEFAULT_STALL_REPORT_NS 100000000u
#define NEVER_NS (UINT64_MAX / 8) /* four times can be added to the clock */
#define MAX_BLOCKING_THREADS 65536u
#define MAX_RING_ENTRIES 32768u
#define MAX_RECV_BUFFERS 32768u
#define MAX_RECV_BUFFER_SIZE (1u << 24)

static int resolve_workers(struct rota_config *config)
{
	const char *env = getenv("ROTA_WORKERS");
	char *end;
	unsigned long n;

	if (config->workers > ROTA_MAX_WORKERS) {
		rota__log("config: %u workers are more than the %u that rota allows", config->workers, ROTA_MAX_WORKERS);
		return -EINVAL;
	}
	if (config->workers != 0)
		return 0;
	if (env == NULL || *env == '\0') {
		config->workers = rota__sys_cpus();
		if (config->workers > ROTA_MAX_WORKERS)
			config->workers = ROTA_MAX_WORKERS;
		return 0;
	}
	n = strtoul(env, &end, 10);
	if (*env < '0' || *env > '9' || *end != '\0' || n == 0 || n > ROTA_MAX_WORKERS) {
		rota__log("ROTA_WORKERS=%s is not a number from 1 to %u", env, ROTA_MAX_WORKERS);
		return -EINVAL;
	}
	config->workers = (unsigned)n;
	return 0;
}

static int resolve_backend(struct rota_config *config)
{
	const char *env = getenv("ROTA_BACKEND");

	if ((unsigned)config->backend > ROTA_BACKEND_EPOLL) {
		rota__log("config: there is no back end number %u", (unsigned)config->backend);
		return -EINVAL;
	}
	if (config->backend != ROTA_BACKEND_AUTO || env == NULL || *env == '\0')
		return 0;
	if (strcmp(env, "io_uring") == 0) {
		config->backend = ROTA_BACKEND_IO_URING;
	} else if (strcmp(env, "epoll") == 0) {
		config->backend = ROTA_BACKEND_EPOLL;
	} else if (strcmp(env, "auto") != 0) {
		rota__log("ROTA_BACKEND=%s is not a back end: io_uring, epoll or auto", env);
		return -EINVAL;
	}
	return 0;
}

static int resolve_flavor(struct rota_config *config)
{
	const char *env = getenv("ROTA_FLAVOR");

	if ((unsigned)config->flavor > ROTA_FLAVOR_CURRENT_THREAD) {
		rota__log("config: there is no flavor number %u", (unsigned)config->flavor);
		return -EINVAL;
	}
	if (config->flavor != ROTA_FLAVOR_MULTI_THREAD || env == NULL || *env == '\0')
		return 0;
	if (strcmp(env, "current_thread") == 0) {
		config->flavor = ROTA_FLAVOR_CURRENT_THREAD;
	} else if (strcmp(env, "multi_thread") != 0) {
		rota__log("ROTA_FLAVOR=%s is not a flavor: multi_thread or current_thread", env);
		return -EINVAL;
	}
	return 0;
}

static int resolve_stall_report(struct rota_config *config)
{
	const char *env = getenv("ROTA_STALL_REPORT");

	if ((unsigned)config->stall_report > ROTA_STALL_REPORT_STACK) {
		rota__log("config: there is no way number %u to report stalls", (unsigned)config->stall_report);
		return -EINVAL;
	}
	if (config->stall_report != ROTA_STALL_REPORT_AUTO)
		return 0;
#ifdef ROTA_DEBUG
	config->stall_report = ROTA_STALL_REPORT_STACK;
#else
	config->stall_report = ROTA_STALL_REPORT_BRIEF;
#endif
	if (env == NULL || *env == '\0')
		return 0;
	if (strcmp(env, "off") == 0) {
		config->stall_report = ROTA_STALL_REPORT_OFF;
	} else if (strcmp(env, "brief") == 0) {
		config->stall_report = ROTA_STALL_REPORT_BRIEF;
	} else if (strcmp(env, "stack") == 0) {
		config->stall_report = ROTA_STALL_REPORT_STACK;
	} else {
		rota__log("ROTA_STALL_REPORT=%s is not a way to report stalls: off, brief or stack", env);
		return -EINVAL;
	}
	return 0;
}

static int resolve_ring_entries(struct rota_config *config)
{
	const char *env = getenv("ROTA_RING_ENTRIES");
	char *end;
	unsigned long n;

	if (config->ring_entries > MAX_RING_ENTRIES) {
		rota__log("config: a ring of %u entries is larger than the %u of the kernel", config->ring_entries,
			  MAX_RING_ENTRIES);
		return -EINVAL;
	}
	if (config->ring_entries != 0)
		return 0;
	config->ring_entries = DEFAULT_RING_ENTRIES;
	if (env == NULL || *env == '\0')
		return 0;
	n = strtoul(env, &end, 10);
	if (*env < '0' || *env > '9' || *end != '\0' || n == 0 || n > MAX_RING_ENTRIES) {
		rota__log("ROTA_RING_ENTRIES=%s is not a number from 1 to %u", env, MAX_RING_ENTRIES);
		return -EINVAL;
	}
	config->ring_entries = (unsigned)n;
	return 0;
}

static int resolve_sizes(struct rota_config *config)
{
	if (config->stack_size == 0)
		config->stack_size = DEFAULT_STACK_SIZE;
	if (config->stack_size < ROTA_MIN_STACK_SIZE || config->stack_size > ROTA_MAX_STACK_SIZE) {
		rota__log("config: a stack of %zu bytes is not between %zu and %zu", config->stack_size,
			  ROTA_MIN_STACK_SIZE, ROTA_MAX_STACK_SIZE);
		return -EINVAL;
	}
	if (config->max_blocking_threads == 0)
		config->max_blocking_threads = DEFAULT_BLOCKING_THREADS;
	if (config->max_blocking_threads > MAX_BLOCKING_THREADS) {
		rota__log("config: %u blocking threads are more than the %u that rota allows",
			  config->max_blocking_threads, MAX_BLOCKING_THREADS);
		return -EINVAL;
	}
	if (config->recv_buffers > MAX_RECV_BUFFERS || config->recv_buffer_size > MAX_RECV_BUFFER_SIZE) {
		rota__log("config: %u receive buffers of %u bytes are more than the %u of %u that rota allows",
			  config->recv_buffers, config->recv_buffer_size, MAX_RECV_BUFFERS, MAX_RECV_BUFFER_SIZE);
		return -EINVAL;
	}
	return resolve_ring_entries(config);
}

int rota__config_resolve(struct rota_config *config)
{
	int rc;

	if ((rc = resolve_flavor(config)) < 0 || (rc = resolve_workers(config)) < 0 ||
	    (rc = resolve_backend(config)) < 0 || (rc = resolve_stall_report(config)) < 0 ||
	    (rc = resolve_sizes(config)) < 0)
		return rc;
	if (config->flavor == ROTA_FLAVOR_CURRENT_THREAD)
		config->workers = 1;
	if (config->max_blocking_queue == 0)
		config->max_blocking_queue = DEFAULT_BLOCKING_QUEUE;
	if (config->blocking_idle_ns == 0)
		config->blocking_idle_ns = DEFAULT_BLOCKING_IDLE_NS;
	if (config->stall_ns == 0)
		config->stall_ns = DEFAULT_STALL_NS;
	if (config->stall_report_ns == 0)
		config->stall_report_ns = DEFAULT_STALL_REPORT_NS;
	if (config->blocking_idle_ns > NEVER_NS)
		config->blocking_idle_ns = NEVER_NS;
	if (config->stall_ns > NEVER_NS)
		config->stall_ns = NEVER_NS;
	if (config->seed == 0)
		config->seed = rota__sys_random();
	return 0;
}
