/* SPDX-License-Identifier: MIT */
/*
 * TCP echo with nothing but epoll: what a hand-written event loop reaches. Each of --loops threads (default 1) owns
 * an epoll instance and both ends of its share of the connections, level-triggered, non-blocking.
 *
 *   epoll-peer echo [--clients N] [--loops N] [--bytes N] [--warmup-ms N] [--round-ms N]
 *
 * Prints lines of `name value unit`, as every peer of the benchmarks does; clients 0 means 1, 100 and 1000 in turn.
 * Exit code 77: no such workload here.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_SKIPPED = 77, MAX_EVENTS = 256, MAX_BYTES = 65536, MAX_LOOPS = 64 };

struct settings {
	uint64_t clients, loops, bytes, warmup_ms, round_ms, round;
};

/* One end of a connection. A message may come in parts; the next one starts when the last byte has come back. */
struct end {
	int fd;
	bool is_client;
	size_t received; /* client: of the answer that is awaited */
};

struct loop {
	int epoll;
	size_t bytes;
	struct end *ends;
	size_t end_count;
	unsigned char *buffer;
	_Atomic uint64_t trips; /* written by the loop's thread, read by main */
	atomic_bool *stop;
	pthread_t thread;
	int status;
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

/* Sends `len` bytes; there is always room for one message a connection, so that a short send is an error. */
static int send_all(struct loop *loop, struct end *end, size_t len)
{
	ssize_t n = send(end->fd, loop->buffer, len, MSG_NOSIGNAL);

	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EPROTO;
}

/* An end is readable: the server sends back what came, the client counts and starts the next round trip. */
static int end_ready(struct loop *loop, struct end *end)
{
	ssize_t n = recv(end->fd, loop->buffer, loop->bytes, 0);

	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (n == 0)
		return -EPIPE;
	if (!end->is_client)
		return send_all(loop, end, (size_t)n);
	end->received += (size_t)n;
	if (end->received < loop->bytes)
		return 0;
	end->received = 0;
	atomic_store_explicit(&loop->trips, atomic_load_explicit(&loop->trips, memory_order_relaxed) + 1,
			      memory_order_relaxed);
	return send_all(loop, end, loop->bytes);
}

static void *loop_run(void *arg)
{
	struct loop *loop = arg;
	struct epoll_event events[MAX_EVENTS];

	for (size_t i = 0; i < loop->end_count && loop->status == 0; i++)
		if (loop->ends[i].is_client)
			loop->status = send_all(loop, &loop->ends[i], loop->bytes);
	while (loop->status == 0 && !atomic_load_explicit(loop->stop, memory_order_relaxed)) {
		int n = epoll_wait(loop->epoll, events, MAX_EVENTS, 100);

		if (n < 0 && errno != EINTR)
			loop->status = -errno;
		for (int i = 0; i < n && loop->status == 0; i++)
			loop->status = end_ready(loop, events[i].data.ptr);
	}
	return NULL;
}

static int loop_add(struct loop *loop, int fd, bool is_client)
{
	static const int one = 1;
	struct end *end = &loop->ends[loop->end_count];
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = end };

	*end = (struct end){ .fd = fd, .is_client = is_client };
	loop->end_count++;
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0)
		return -errno;
	return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
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
	rc = loop_add(loop, fd, true);
	if (rc < 0)
		return rc;
	accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	return accepted < 0 ? -errno : loop_add(loop, accepted, false);
}

static int loop_init(struct loop *loop, size_t bytes, size_t connections, atomic_bool *stop)
{
	*loop = (struct loop){ .epoll = epoll_create1(EPOLL_CLOEXEC), .bytes = bytes, .stop = stop };
	if (loop->epoll < 0)
		return -errno;
	loop->ends = calloc(2 * connections + 1, sizeof(*loop->ends));
	loop->buffer = calloc(1, bytes);
	return loop->ends && loop->buffer ? 0 : -ENOMEM;
}

static void loop_deinit(struct loop *loop)
{
	for (size_t i = 0; i < loop->end_count; i++)
		close(loop->ends[i].fd);
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
		rc = -pthread_create(&loops[started].thread, NULL, loop_run, &loops[started]);
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
		rc = loop_init(&loops[ready], s->bytes, clients, &stop);
	for (uint64_t i = 0; i < clients && rc == 0; i++)
		rc = loop_connect(&loops[i % s->loops], listener, &address);
	if (rc == 0)
		rc = run_loops(loops, s, clients, &stop);
	while (ready-- > 0)
		loop_deinit(&loops[ready]);
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
	printf("# epoll, level-triggered, loop threads: %" PRIu64 "\n", s.loops);
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
