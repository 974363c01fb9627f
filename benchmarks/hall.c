/* SPDX-License-Identifier: MIT */
/* See hall.h. */
#include "hall.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

enum { MAX_BYTES = BENCH_HALL_MAX_BYTES };

struct outcome {
	uint64_t trips, ns, cpu_ns;
};

struct hall;

/* One connection: the client's end, and the task of the server's end. */
struct client {
	struct hall *hall;
	rota_task *task;
	rota_task *server_task;
	int fd;
	int server_fd;
	_Atomic uint64_t trips; /* written by the client, read by the task that measures */
	struct bench_histogram latency;
};

struct hall {
	size_t count;
	size_t bytes;
	uint64_t pause_ns;
	int listener;
	struct client *clients;
	atomic_bool measuring;
	atomic_bool stop;
};

static int set_nodelay(int fd)
{
	static const int one = 1;

	return setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0 ? -errno : 0;
}

/* The server's end: sends back what comes, until the client closes. */
static int serve(void *arg)
{
	struct client *c = arg;
	unsigned char buffer[MAX_BYTES];
	ssize_t n;

	while ((n = rota_recv(c->server_fd, buffer, c->hall->bytes, 0)) > 0) {
		n = rota_write_all(c->server_fd, buffer, (size_t)n);
		if (n < 0)
			break;
	}
	rota_close(c->server_fd);
	return (int)n;
}

static int round_trip(struct client *c, const unsigned char *message, unsigned char *answer)
{
	size_t bytes = c->hall->bytes;
	ssize_t n = rota_write_all(c->fd, message, bytes);

	if (n == (ssize_t)bytes)
		n = rota_read_exact(c->fd, answer, bytes);
	if (n < 0)
		return (int)n;
	return n == (ssize_t)bytes && memcmp(message, answer, bytes) == 0 ? 0 : -EBADMSG;
}

static int client_run(void *arg)
{
	struct client *c = arg;
	unsigned char message[MAX_BYTES], answer[MAX_BYTES];
	/* Those who pause take turns: together they would wait for each other, whatever else there is. */
	uint64_t before = rota_now() + c->hall->pause_ns * (uint64_t)(c - c->hall->clients) / c->hall->count;
	uint64_t trips = 0;
	bool measuring = false;
	int rc = 0;

	memset(message, 0x5a, c->hall->bytes);
	while (rc == 0 && !atomic_load_explicit(&c->hall->stop, memory_order_relaxed)) {
		uint64_t now;

		if (c->hall->pause_ns != 0) {
			before += c->hall->pause_ns;
			rc = rota_sleep_until(before);
		}
		if (rc == 0)
			rc = round_trip(c, message, answer);
		now = rota_now();
		bench_histogram_add(&c->latency, now - before);
		if (c->hall->pause_ns == 0 || now > before + c->hall->pause_ns)
			before = now;
		if (!measuring && atomic_load_explicit(&c->hall->measuring, memory_order_relaxed)) {
			measuring = true;
			memset(&c->latency, 0, sizeof(c->latency));
		}
		atomic_store_explicit(&c->trips, ++trips, memory_order_relaxed);
	}
	rota_close(c->fd);
	return rc;
}

static void close_client(const struct client *c)
{
	rota_close(c->server_fd);
	rota_close(c->fd);
}

static int connect_client(struct hall *hall, struct client *c, const char *port)
{
	int rc;

	c->hall = hall;
	c->fd = rota_tcp_connect("127.0.0.1", port);
	if (c->fd < 0)
		return c->fd;
	c->server_fd = rota_accept(hall->listener, NULL, NULL);
	rc = c->server_fd < 0 ? c->server_fd : set_nodelay(c->server_fd);
	if (rc == 0)
		return 0;
	if (c->server_fd >= 0)
		rota_close(c->server_fd);
	rota_close(c->fd);
	return rc;
}

/* All of them, before the first one runs: what runs would hold up the rest. */
static int connect_clients(struct hall *hall, size_t *connected)
{
	char port[16];
	int rc = rota_local_port(hall->listener);

	if (rc < 0)
		return rc;
	snprintf(port, sizeof(port), "%d", rc);
	for (rc = 0; *connected < hall->count && rc == 0; *connected += rc == 0)
		rc = connect_client(hall, &hall->clients[*connected], port);
	return rc;
}

/* Starts the tasks of both ends. */
static int start_client(struct client *c)
{
	int rc = rota_spawn(&c->server_task, serve, c);

	if (rc < 0) {
		close_client(c);
		return rc;
	}
	rc = rota_spawn(&c->task, client_run, c);
	if (rc < 0) {
		rota_close(c->fd); /* ends the server's task */
		rota_join(c->server_task, NULL);
	}
	return rc;
}

static int join_clients(struct hall *hall, size_t started, int rc)
{
	for (size_t i = 0; i < started; i++) {
		rota_task *tasks[] = { hall->clients[i].task, hall->clients[i].server_task };

		for (size_t k = 0; k < 2; k++) {
			int status = 0, joined = rota_join(tasks[k], &status);

			joined = joined < 0 ? joined : status;
			rc = rc < 0 ? rc : joined;
		}
	}
	return rc;
}

static uint64_t total_trips(const struct hall *hall)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < hall->count; i++)
		sum += atomic_load_explicit(&hall->clients[i].trips, memory_order_relaxed);
	return sum;
}

/* Sleeps through the warm-up and the round, and counts what the clients do in the latter. */
static int observe(struct hall *hall, struct outcome *ret)
{
	struct outcome o;
	int rc = rota_sleep(ROTA_MS(bench_param("warmup-ms")));

	if (rc < 0)
		return rc;
	atomic_store_explicit(&hall->measuring, true, memory_order_relaxed);
	o = (struct outcome){ total_trips(hall), rota_now(), bench_cpu_ns() };
	rc = rota_sleep(ROTA_MS(bench_param("round-ms")));
	ret->trips = total_trips(hall) - o.trips;
	ret->ns = rota_now() - o.ns;
	ret->cpu_ns = bench_cpu_ns() - o.cpu_ns;
	return rc;
}

static void sum_up(struct hall *hall, const struct outcome *o, struct bench_hall *ret)
{
	struct bench_histogram *latency = &hall->clients[0].latency;

	for (size_t i = 1; i < hall->count; i++)
		bench_histogram_merge(latency, &hall->clients[i].latency);
	ret->trips_per_s = (double)o->trips * 1e9 / (double)o->ns;
	ret->cpu_us = (double)o->cpu_ns / 1e3 / (double)o->trips;
	ret->p50_us = (double)bench_histogram_quantile(latency, 0.50) / 1e3;
	ret->p99_us = (double)bench_histogram_quantile(latency, 0.99) / 1e3;
}

static int run_clients(struct hall *hall, struct bench_hall *ret)
{
	struct outcome outcome = { 0 };
	size_t connected = 0, started = 0, touched = 0;
	int rc = connect_clients(hall, &connected);

	for (; started < hall->count && rc == 0; started += rc == 0) {
		touched++;
		rc = start_client(&hall->clients[started]);
	}
	while (touched < connected)
		close_client(&hall->clients[touched++]); /* only after a failure */
	if (rc == 0)
		rc = observe(hall, &outcome);
	atomic_store_explicit(&hall->stop, true, memory_order_relaxed);
	rc = join_clients(hall, started, rc);
	if (rc == 0 && outcome.trips == 0)
		rc = -ETIME; /* too short a round to say anything */
	if (rc == 0)
		sum_up(hall, &outcome, ret);
	return rc;
}

int bench_hall_run(size_t clients, size_t bytes, struct bench_hall *ret)
{
	struct hall hall = { .count = clients, .bytes = bytes, .pause_ns = ret->pause_ns };
	int rc;

	if (bytes == 0 || bytes > MAX_BYTES || clients == 0)
		return -EINVAL;
	hall.clients = calloc(clients, sizeof(*hall.clients));
	if (!hall.clients)
		return -ENOMEM;
	rc = hall.listener = rota_tcp_listen("127.0.0.1", "0", 0);
	if (rc >= 0) {
		rc = run_clients(&hall, ret);
		rota_close(hall.listener);
	}
	free(hall.clients);
	return rc;
}
