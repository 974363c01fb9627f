/* SPDX-License-Identifier: MIT */
/*
 * Many of the same, at a pace that somebody sets: calls throttled by an interval; a function for each of many items, so many
 * at once and no more; a stream of values through channels, whose slowest stage holds back the others.
 *
 *   streams [--unit-ms N]     default 100
 */
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rota.h>

enum { DEFAULT_UNIT_MS = 100, MAX_UNIT_MS = 100000, CALLS = 3, ITEMS = 9, LIMIT = 3, VALUES = 10, ROOM = 2 };

/* --- throttling --------------------------------------------------------------------------------------------------------- */

static int throttled(uint64_t unit_ns)
{
	struct rota_interval interval;
	uint64_t start = rota_now();
	int rc = rota_interval_init(&interval, unit_ns, ROTA_MISSED_DELAY); /* never two in less than a unit */

	for (int i = 0; i < CALLS && rc == 0; i++) {
		rc = rota_interval_tick(&interval, NULL);
		if (rc == 0)
			printf("call %d after %" PRIu64 " ms\n", i, (rota_now() - start) / ROTA_MS(1));
	}
	return rc;
}

/* --- for each, so many at once -------------------------------------------------------------------------------------------- */

struct item {
	uint64_t pause_ns;
	atomic_uint *running, *most;
};

static int handle(void *arg)
{
	const struct item *item = arg;
	unsigned running = atomic_fetch_add(item->running, 1) + 1, most = atomic_load(item->most);
	int rc;

	while (running > most && !atomic_compare_exchange_weak(item->most, &most, running))
		;
	rc = rota_sleep(item->pause_ns);
	atomic_fetch_sub(item->running, 1);
	return rc;
}

static int for_each_concurrent(rota_fn *fn, struct item *items, size_t n, unsigned limit)
{
	const struct rota_scope_attr attr = { .limit = limit };
	struct rota_scope scope;
	int closed, rc = rota_scope_open_with(&scope, &attr);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = rota_scope_spawn(&scope, NULL, fn, &items[i]); /* waits while `limit` of them run */
	closed = rota_scope_close(&scope);
	return closed < 0 ? closed : rc; /* a child that failed is why the rest was not spawned */
}

static int limited(uint64_t unit_ns)
{
	atomic_uint running = 0, most = 0;
	struct item items[ITEMS];
	uint64_t start = rota_now();
	int rc;

	for (int i = 0; i < ITEMS; i++)
		items[i] = (struct item){ unit_ns, &running, &most };
	rc = for_each_concurrent(handle, items, ITEMS, LIMIT);
	if (rc == 0)
		printf("%d items, at most %u at once, in %" PRIu64 " ms\n", ITEMS, atomic_load(&most),
		       (rota_now() - start) / ROTA_MS(1));
	return rc;
}

/* --- a stream of values --------------------------------------------------------------------------------------------------- */

struct stream {
	struct rota_channel numbers, squares;
};

/* Whoever sends into a channel closes it, whatever happened, so that its reader comes to an end. */
static int produce(void *arg)
{
	struct stream *s = arg;
	int rc = 0;

	for (int i = 0; i < VALUES && rc == 0; i++)
		rc = rota_channel_send(&s->numbers, &i); /* waits while nobody takes them */
	rota_channel_close(&s->numbers);
	return rc;
}

/* A filter and a map: squares of the even numbers. */
static int square_even(void *arg)
{
	struct stream *s = arg;
	int i, rc;

	while ((rc = rota_channel_recv(&s->numbers, &i)) == 0) {
		int square = i * i;

		if (i % 2 == 0 && (rc = rota_channel_send(&s->squares, &square)) < 0)
			break;
	}
	rota_channel_close(&s->squares);
	return rc == -EPIPE ? 0 : rc; /* -EPIPE: all were read */
}

static int read_stream(struct stream *s)
{
	struct rota_scope scope;
	int square, sum = 0, closed, rc = rota_scope_open(&scope, 0);

	if (rc < 0)
		return rc;
	rc = rota_scope_spawn(&scope, NULL, produce, s);
	if (rc == 0)
		rc = rota_scope_spawn(&scope, NULL, square_even, s);
	if (rc < 0)
		rota_scope_cancel(&scope);
	printf("stream:");
	while (rc == 0 && (rc = rota_channel_recv(&s->squares, &square)) == 0) {
		printf(" %d", square);
		sum += square;
	}
	printf(", sum %d\n", sum);
	closed = rota_scope_close(&scope);
	return rc < 0 && rc != -EPIPE ? rc : closed;
}

static int streamed(void)
{
	struct stream s;
	int rc = rota_channel_init(&s.numbers, sizeof(int), ROOM);

	if (rc < 0)
		return rc;
	rc = rota_channel_init(&s.squares, sizeof(int), ROOM);
	if (rc == 0) {
		rc = read_stream(&s);
		rota_channel_deinit(&s.squares);
	}
	rota_channel_deinit(&s.numbers);
	return rc;
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
	rc = throttled(ROTA_MS(unit_ms));
	rc = rc < 0 ? rc : limited(ROTA_MS(unit_ms));
	rc = rc < 0 ? rc : streamed();
	if (rc >= 0 && fflush(stdout) != 0)
		rc = -errno;
	if (rc < 0)
		fprintf(stderr, "streams: %s\n", strerror(-rc));
	return rc < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	return rota_run(async_main, argc, argv);
}
