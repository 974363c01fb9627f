/* SPDX-License-Identifier: MIT */
/*
 * An echo server under a load that does not wait for it: requests are due at fixed times, 50,000 a second, in turn on every
 * connection, and are sent then whether the answers to earlier ones have come or not. The latency of a request counts from
 * when it was due, so that a server that stands still pays for all that would have come meanwhile (no coordinated
 * omission). The server is a process of its own, the load this one: CPU of the server per request, and latency.
 *
 *   rate [OPTION]... [-- SERVER [ARGUMENT]...]      the server listens on `--port N` of the loopback; default: rate_server
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "measure.h"
#include "server.h"

enum { BYTES = 64, PENDING_MAX = 16384, EVENTS = 64 };

static struct bench_param params[] = {
	{ "rate", 50000, 50000, "requests a second" },
	{ "connections", 64, 64, "that they are spread over" },
	{ NULL, 0, 0, NULL },
};

/* The requests of a connection are answered in the order in which they were sent. */
struct connection {
	int fd;
	unsigned sent, answered; /* requests; the difference is at most PENDING_MAX */
	size_t received;         /* bytes of the next answer */
	uint64_t *due;           /* of those that are pending, a ring */
};

struct load {
	struct connection *connections;
	unsigned count, open;
	int epoll;
	uint64_t measure_from; /* requests that were due before are warm-up */
	uint64_t answered, refused;
	uint64_t pending; /* on all connections */
	struct bench_histogram latency;
};

static int open_connection(struct load *load, int port)
{
	static const int one = 1;
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons((uint16_t)port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct connection *c = &load->connections[load->open];
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };

	c->due = calloc(PENDING_MAX, sizeof(*c->due));
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	load->open++;
	if (!c->due)
		return -ENOMEM;
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0 ||
	    epoll_ctl(load->epoll, EPOLL_CTL_ADD, c->fd, &event) < 0)
		return -errno;
	return 0;
}

static void close_connections(struct load *load)
{
	for (unsigned i = 0; i < load->open; i++) {
		if (load->connections[i].fd >= 0)
			close(load->connections[i].fd);
		free(load->connections[i].due);
	}
	if (load->epoll >= 0)
		close(load->epoll);
	free(load->connections);
}

/* A request for which there is no room counts as refused: the server is far behind. */
static int send_request(struct load *load, struct connection *c, uint64_t due)
{
	static const char message[BYTES] = "request";
	ssize_t n;

	if (c->sent - c->answered == PENDING_MAX) {
		load->refused++;
		return 0;
	}
	n = send(c->fd, message, BYTES, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno == EAGAIN) {
		load->refused++;
		return 0;
	}
	if (n != BYTES)
		return n < 0 ? -errno : -EPROTO;
	c->due[c->sent++ % PENDING_MAX] = due;
	load->pending++;
	return 0;
}

static int take_answers(struct load *load, struct connection *c)
{
	static char buffer[BYTES * 256];
	ssize_t n = recv(c->fd, buffer, sizeof(buffer), MSG_DONTWAIT);
	uint64_t now = rota_now();

	if (n <= 0)
		return n == 0 ? -EPIPE : errno == EAGAIN ? 0 : -errno;
	c->received += (size_t)n;
	for (; c->received >= BYTES; c->received -= BYTES) {
		uint64_t due = c->due[c->answered++ % PENDING_MAX];

		load->pending--;
		if (due < load->measure_from)
			continue;
		bench_histogram_add(&load->latency, now - due);
		load->answered++;
	}
	return 0;
}

/* Waits for answers until the next request is due. */
static int await_answers(struct load *load, uint64_t until)
{
	struct epoll_event events[EVENTS];
	uint64_t now = rota_now(), left = until > now ? until - now : 0;
	struct timespec timeout = { .tv_sec = (time_t)(left / ROTA_SECONDS(1)),
				    .tv_nsec = (long)(left % ROTA_SECONDS(1)) };
	int n = epoll_pwait2(load->epoll, events, EVENTS, &timeout, NULL);
	int rc = n < 0 && errno != EINTR ? -errno : 0;

	for (int i = 0; i < n && rc == 0; i++)
		rc = take_answers(load, events[i].data.ptr);
	return rc;
}

/* All requests that are due between the two; the k-th of all goes to connection k modulo their number. */
static int drive(struct load *load, uint64_t start, uint64_t end)
{
	const uint64_t rate = bench_param("rate");
	uint64_t k = 0, due = start;
	int rc = rate > 0 && load->count > 0 ? 0 : -EINVAL;

	while (due < end && rc == 0) {
		for (uint64_t now = rota_now(); due <= now && due < end && rc == 0;
		     due = start + k * ROTA_SECONDS(1) / rate) {
			rc = send_request(load, &load->connections[k % load->count], due);
			k++;
		}
		if (rc == 0)
			rc = await_answers(load, due);
	}
	return rc;
}

static int measure(struct load *load, const struct bench_server *server)
{
	const uint64_t length = ROTA_MS(bench_param("round-ms")), start = rota_now();
	uint64_t cpu, answered;
	int rc;

	load->measure_from = UINT64_MAX;
	rc = drive(load, start, start + ROTA_MS(bench_param("warmup-ms")));
	cpu = bench_server_cpu_ns(server);
	load->measure_from = rota_now();
	if (rc == 0)
		rc = drive(load, load->measure_from, load->measure_from + length);
	cpu = bench_server_cpu_ns(server) - cpu;
	answered = load->answered;
	for (uint64_t until = rota_now() + ROTA_SECONDS(1); rc == 0 && load->pending > 0 && rota_now() < until;)
		rc = await_answers(load, until); /* the late ones count too, in the latency */
	if (rc < 0 || answered == 0)
		return rc < 0 ? rc : -ETIME;
	if (load->refused > 0)
		bench_note("requests that there was no room for: %llu", (unsigned long long)load->refused);
	bench_report("rate", (double)answered * 1e9 / (double)length, "requests/s");
	bench_report("rate_cpu", (double)cpu / 1e3 / (double)answered, "us");
	bench_report("rate_p50", (double)bench_histogram_quantile(&load->latency, 0.50) / 1e3, "us");
	bench_report("rate_p99", (double)bench_histogram_quantile(&load->latency, 0.99) / 1e3, "us");
	return 0;
}

static int run_load(const struct bench_server *server)
{
	struct load load = { .count = (unsigned)bench_param("connections"), .epoll = epoll_create1(EPOLL_CLOEXEC) };
	int rc = load.epoll < 0 ? -errno : 0;

	load.connections = calloc(load.count + 1, sizeof(*load.connections));
	if (!load.connections)
		rc = -ENOMEM;
	while (rc == 0 && load.open < load.count)
		rc = open_connection(&load, server->port);
	if (rc == 0)
		rc = measure(&load, server);
	close_connections(&load);
	return rc;
}

static int round_of_load(void)
{
	static char *own[] = { "rate_server", NULL };
	char *const *given = bench_arguments();
	struct bench_server server;
	int rc;

	if (bench_param("rate") == 0 || bench_param("connections") == 0)
		return -EINVAL;
	prctl(PR_SET_TIMERSLACK, 1); /* the clock of the load shall be a good one */
	rc = bench_server_start(&server, *given ? given : own);
	if (rc == -ENOENT)
		return BENCH_ROUND_SKIPPED;
	if (rc < 0)
		return rc;
	rc = run_load(&server);
	bench_server_stop(&server);
	return rc;
}

static const struct bench bench = {
	.name = "rate",
	.about = "an echo server under 50,000 requests a second that do not wait for it",
	.round = round_of_load,
	.params = params,
	.round_ms = 1000,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
