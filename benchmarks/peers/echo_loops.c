/* SPDX-License-Identifier: MIT */
/* See echo_loops.h: connections, threads, what is printed. */
#define _GNU_SOURCE
#include "echo_loops.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_SKIPPED = 77, MAX_BYTES = 65536, MAX_LOOPS = 64 };

struct settings {
	uint64_t clients, loops, bytes, warmup_ms, round_ms;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

bool end_has_answer(struct loop *loop, struct end *end, size_t n)
{
	end->received += n;
	if (end->received < loop->bytes)
		return false;
	end->received = 0;
	atomic_store_explicit(&loop->trips, atomic_load_explicit(&loop->trips, memory_order_relaxed) + 1,
			      memory_order_relaxed);
	return true;
}

static void *run_thread(void *arg)
{
	struct loop *loop = arg;

	loop->status = loop_run(loop);
	return NULL;
}

static int add_end(struct loop *loop, int fd, bool is_client)
{
	static const int one = 1;
	struct end *end = &loop->ends[loop->end_count];

	*end = (struct end){ .fd = fd, .is_client = is_client, .buffers = malloc(2 * loop->bytes) };
	loop->end_count++;
	if (!end->buffers)
		return -ENOMEM;
	memset(end->buffers, 0x5a, 2 * loop->bytes);
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0)
		return -errno;
	return loop_watch(loop, end);
}

static int listen_loopback(struct sockaddr_in *ret_address)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int rc, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, SOMAXCONN) == 0 &&
	    getsockname(fd, (struct sockaddr *)&address, &len) == 0) {
		*ret_address = address;
		return fd;
	}
	rc = -errno;
	close(fd);
	return rc;
}

/* One connection, both of whose ends go to `loop`. */
static int loop_connect(struct loop *loop, int listener, const struct sockaddr_in *address)
{
	int rc, accepted, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0) {
		rc = -errno;
		close(fd);
		return rc;
	}
	rc = add_end(loop, fd, true);
	if (rc < 0)
		return rc;
	accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	return accepted < 0 ? -errno : add_end(loop, accepted, false);
}

static int new_loop(struct loop *loop, size_t bytes, size_t connections, atomic_bool *stop)
{
	*loop = (struct loop){ .epoll = -1, .bytes = bytes, .stop = stop };
	loop->ends = calloc(2 * connections + 1, sizeof(*loop->ends));
	loop->buffer = calloc(1, bytes);
	return loop->ends && loop->buffer ? loop_init(loop) : -ENOMEM;
}

static void free_loop(struct loop *loop)
{
	for (size_t i = 0; i < loop->end_count; i++) {
		close(loop->ends[i].fd);
		free(loop->ends[i].buffers);
	}
	if (loop->epoll >= 0)
		close(loop->epoll);
	free(loop->ends);
	free(loop->buffer);
}

static uint64_t total_trips(struct loop *loops, uint64_t count)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < count; i++)
		sum += atomic_load_explicit(&loops[i].trips, memory_order_relaxed);
	return sum;
}

static void sleep_ms(uint64_t ms)
{
	struct timespec ts = { .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, &ts) == EINTR)
		;
}

/* The loops are connected: runs them for the warm-up and the round and prints what they did in the latter. */
static int run_loops(struct loop *loops, const struct settings *s, uint64_t clients, atomic_bool *stop)
{
	uint64_t started = 0, trips = 0, cpu = 0, start = 0;
	int rc = 0;

	while (started < s->loops && rc == 0) {
		rc = -pthread_create(&loops[started].thread, NULL, run_thread, &loops[started]);
		started += rc == 0;
	}
	if (rc == 0) {
		sleep_ms(s->warmup_ms);
		trips = total_trips(loops, s->loops);
		cpu = cpu_ns();
		start = now_ns();
		sleep_ms(s->round_ms);
		start = now_ns() - start;
		cpu = cpu_ns() - cpu;
		trips = total_trips(loops, s->loops) - trips;
	}
	atomic_store(stop, true);
	for (uint64_t i = 0; i < started; i++) {
		pthread_join(loops[i].thread, NULL);
		rc = rc < 0 ? rc : loops[i].status;
	}
	if (rc == 0) {
		printf("echo_%" PRIu64 " %.9g rt/s\n", clients, (double)trips * 1e9 / (double)start);
		printf("echo_%" PRIu64 "_cpu %.9g us\n", clients, (double)cpu / 1e3 / (double)trips);
	}
	return rc;
}

static int measure(const struct settings *s, uint64_t clients)
{
	struct loop loops[MAX_LOOPS];
	struct sockaddr_in address;
	atomic_bool stop = false;
	uint64_t ready = 0;
	int rc = 0, listener = listen_loopback(&address);

	if (listener < 0)
		return listener;
	for (; ready < s->loops && rc == 0; ready++)
		rc = new_loop(&loops[ready], s->bytes, clients, &stop);
	for (uint64_t i = 0; i < clients && rc == 0; i++)
		rc = loop_connect(&loops[i % s->loops], listener, &address);
	if (rc == 0)
		rc = run_loops(loops, s, clients, &stop);
	while (ready-- > 0)
		free_loop(&loops[ready]);
	close(listener);
	return rc;
}

/* Options that only other contenders know are passed over. */
static bool parse(struct settings *s, int argc, char **argv)
{
	struct {
		const char *name;
		uint64_t *value;
	} known[] = { { "clients", &s->clients },
		      { "loops", &s->loops },
		      { "bytes", &s->bytes },
		      { "round-ms", &s->round_ms },
		      { "warmup-ms", &s->warmup_ms } };

	for (int i = 2; i < argc; i++) {
		char *end;
		uint64_t value;

		if (strcmp(argv[i], "--round") == 0)
			continue;
		if (strncmp(argv[i], "--", 2) != 0 || i + 1 == argc)
			return false;
		value = strtoull(argv[i + 1], &end, 10);
		if (*argv[i + 1] == '\0' || *end != '\0')
			return false;
		for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++)
			if (strcmp(argv[i] + 2, known[k].name) == 0)
				*known[k].value = value;
		i++;
	}
	return s->loops > 0 && s->loops <= MAX_LOOPS && s->bytes > 0 && s->bytes <= MAX_BYTES && s->round_ms > 0;
}

static int raise_fd_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}

int main(int argc, char **argv)
{
	static const uint64_t usual[] = { 1, 100, 1000 };
	struct settings s = { .loops = 1, .bytes = 64, .warmup_ms = 200, .round_ms = 1000 };
	int rc;

	if (argc < 2 || !parse(&s, argc, argv)) {
		fprintf(stderr,
			"usage: %s echo [--clients N] [--loops 1..%d] [--bytes 1..%d] [--warmup-ms N] "
			"[--round-ms N]\n",
			argv[0], MAX_LOOPS, MAX_BYTES);
		return 2;
	}
	if (strcmp(argv[1], "echo") != 0)
		return EXIT_SKIPPED;
	printf("# %s, loop threads: %" PRIu64 "\n", loop_about, s.loops);
	rc = raise_fd_limit();
	if (s.clients > 0)
		rc = rc < 0 ? rc : measure(&s, s.clients);
	else
		for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]) && rc == 0; i++)
			rc = measure(&s, usual[i]);
	if (rc < 0)
		fprintf(stderr, "%s: %s\n", argv[0], strerror(-rc));
	return rc < 0 ? 1 : 0;
}
