/* SPDX-License-Identifier: MIT */
/*
 * Two tasks that sleep for 500 and 300 ms: they end in order of time, not of their start, and together take 500 ms.
 *
 *   sleepers [--unit-ms N]     default 100: they sleep for 5 and 3 units
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rota.h>

enum { DEFAULT_UNIT_MS = 100, MAX_UNIT_MS = 100000 };

struct sleeper {
	uint64_t start;
	uint64_t ms;
};

static int sleep_and_tell(void *arg)
{
	const struct sleeper *s = arg;
	int rc = rota_sleep_until(s->start + ROTA_MS(s->ms));

	if (rc == 0)
		printf("slept for %" PRIu64 " ms: after %" PRIu64 " ms\n", s->ms, (rota_now() - s->start) / ROTA_MS(1));
	return rc;
}

/* The scope joins them both, so that they may use this stack. */
static int sleep_together(uint64_t unit_ms)
{
	uint64_t start = rota_now();
	struct sleeper longer = { start, 5 * unit_ms }, shorter = { start, 3 * unit_ms };
	struct rota_scope scope;
	int closed, rc = rota_scope_open(&scope, 0);

	if (rc < 0)
		return rc;
	rc = rota_scope_spawn(&scope, NULL, sleep_and_tell, &longer);
	if (rc == 0)
		rc = rota_scope_spawn(&scope, NULL, sleep_and_tell, &shorter);
	closed = rota_scope_close(&scope);
	printf("together: %" PRIu64 " ms\n", (rota_now() - start) / ROTA_MS(1));
	return rc < 0 ? rc : closed;
}

static int async_main(int argc, char **argv)
{
	unsigned long unit_ms = DEFAULT_UNIT_MS;
	char *end = "";
	int rc;

	if (argc == 3 && strcmp(argv[1], "--unit-ms") == 0)
		unit_ms = strtoul(argv[2], &end, 10);
	else if (argc > 1)
		unit_ms = 0;
	if (*end != '\0' || unit_ms == 0 || unit_ms > MAX_UNIT_MS) {
		fprintf(stderr, "usage: %s [--unit-ms N]\n", argv[0]);
		return 2;
	}
	rc = sleep_together(unit_ms);
	if (rc >= 0 && fflush(stdout) != 0)
		rc = -errno;
	if (rc < 0)
		fprintf(stderr, "sleepers: %s\n", strerror(-rc));
	return rc < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	return rota_run(async_main, argc, argv);
}
