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
#ifdef ROTA_DEBUG
#define DEFAULT_STALL_REPORT ROTA_STALL_REPORT_STACK
#else
#define DEFAULT_STALL_REPORT ROTA_STALL_REPORT_BRIEF
#endif
#define DEFAULT_STALL_REPORT_NS 100000000u
#define NEVER_NS (UINT64_MAX / 8) /* four times can be added to the clock */
#define MAX_BLOCKING_THREADS 65536u
#define MAX_RING_ENTRIES 32768u
#define MAX_RECV_BUFFERS 32768u
#define MAX_RECV_BUFFER_SIZE (1u << 24)

/* What the environment says of a number that the program has left open; *ret stays as it is when that says nothing. */
static int number_from(const char *variable, unsigned most, unsigned *ret)
{
	const char *text = getenv(variable);
	unsigned long n;
	char *end;

	if (text == NULL || *text == '\0')
		return 0;
	n = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || n == 0 || n > most) {
		rota__log("%s=%s is not a number from 1 to %u", variable, text, most);
		return -EINVAL;
	}
	*ret = (unsigned)n;
	return 0;
}

static int resolve_workers(struct rota_config *config)
{
	int rc = 0;

	if (config->workers > ROTA_MAX_WORKERS) {
		rota__log("config: %u workers are more than the %u that rota allows", config->workers, ROTA_MAX_WORKERS);
		return -EINVAL;
	}
	if (config->workers == 0)
		rc = number_from("ROTA_WORKERS", ROTA_MAX_WORKERS, &config->workers);
	if (rc < 0 || config->workers != 0)
		return rc;
	config->workers = rota__sys_cpus();
	if (config->workers > ROTA_MAX_WORKERS)
		config->workers = ROTA_MAX_WORKERS;
	return 0;
}

static int resolve_ring_entries(struct rota_config *config)
{
	if (config->ring_entries > MAX_RING_ENTRIES) {
		rota__log("config: a ring of %u entries is larger than the %u of the kernel", config->ring_entries,
			  MAX_RING_ENTRIES);
		return -EINVAL;
	}
	if (config->ring_entries != 0)
		return 0;
	config->ring_entries = DEFAULT_RING_ENTRIES;
	return number_from("ROTA_RING_ENTRIES", MAX_RING_ENTRIES, &config->ring_entries);
}

/* One of an enumeration, the first of which leaves it to the environment. */
struct choice {
	const char *variable, *what, *all;
	const char *words[4]; /* by number; NULL: there is no word for it */
};

static const struct choice backends = {
	"ROTA_BACKEND",
	"back end",
	"io_uring, epoll or auto",
	{ "auto", "io_uring", "epoll" },
};
static const struct choice flavors = {
	"ROTA_FLAVOR",
	"flavor",
	"multi_thread or current_thread",
	{ "multi_thread", "current_thread" },
};
static const struct choice stall_reports = {
	"ROTA_STALL_REPORT",
	"way to report stalls",
	"off, brief or stack",
	{ NULL, "off", "brief", "stack" },
};

static int resolve_choice(const struct choice *choice, unsigned last, unsigned *value)
{
	const char *text = getenv(choice->variable);

	if (*value > last) {
		rota__log("config: %u is not a %s", *value, choice->what);
		return -EINVAL;
	}
	if (*value != 0 || text == NULL || *text == '\0')
		return 0;
	for (unsigned i = 0; i <= last; i++) {
		if (choice->words[i] == NULL || strcmp(text, choice->words[i]) != 0)
			continue;
		*value = i;
		return 0;
	}
	rota__log("%s=%s is not a %s: %s", choice->variable, text, choice->what, choice->all);
	return -EINVAL;
}

static int resolve_choices(struct rota_config *config)
{
	unsigned backend = (unsigned)config->backend, flavor = (unsigned)config->flavor;
	unsigned report = (unsigned)config->stall_report;
	int rc;

	if ((rc = resolve_choice(&flavors, ROTA_FLAVOR_CURRENT_THREAD, &flavor)) < 0 ||
	    (rc = resolve_choice(&backends, ROTA_BACKEND_EPOLL, &backend)) < 0 ||
	    (rc = resolve_choice(&stall_reports, ROTA_STALL_REPORT_STACK, &report)) < 0)
		return rc;
	if (report == ROTA_STALL_REPORT_AUTO)
		report = DEFAULT_STALL_REPORT;
	config->backend = (enum rota_backend)backend;
	config->flavor = (enum rota_flavor)flavor;
	config->stall_report = (enum rota_stall_report)report;
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
	return 0;
}

int rota__config_resolve(struct rota_config *config)
{
	int rc;

	if ((rc = resolve_choices(config)) < 0 || (rc = resolve_workers(config)) < 0 ||
	    (rc = resolve_sizes(config)) < 0 || (rc = resolve_ring_entries(config)) < 0)
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
