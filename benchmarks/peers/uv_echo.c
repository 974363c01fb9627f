/* SPDX-License-Identifier: MIT */
/* benchmarks/echo.c on libuv: one loop with both ends of all connections. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "uv.h"

enum { BYTES = 64 };

struct end {
	uv_tcp_t tcp;
	uv_write_t write;
	uv_connect_t connect;
	uv_timer_t pause; /* of a client */
	char bytes[BYTES];
	size_t got;
	uint64_t before;
	int writing;
};

static uv_tcp_t listener;
static struct sockaddr_in address;
static uint64_t trips, counted_trips, counted_ns, counted_cpu;
static uint64_t pause_ns, client_count, clients_connected;
static int measuring, stopping;
static void (*on_end)(void);

static void give_buffer(uv_handle_t *handle, size_t size, uv_buf_t *ret)
{
	struct end *end = (struct end *)handle;

	(void)size;
	*ret = uv_buf_init(end->bytes + end->got, (unsigned)(BYTES - end->got));
}

static void on_written(uv_write_t *write, int status)
{
	(void)write;
	if (status != UV_ECANCELED)
		check(status, "write");
}

static void send_all(struct end *end)
{
	uv_buf_t buf = uv_buf_init(end->bytes, BYTES);

	check(uv_write(&end->write, (uv_stream_t *)&end->tcp, &buf, 1, on_written), "write");
}

static void free_end(uv_handle_t *handle)
{
	free(handle);
}

static void close_client(uv_handle_t *pause)
{
	struct end *end = pause->data;

	uv_close((uv_handle_t *)&end->tcp, free_end);
}

/* A whole message has come, or the end: false. */
static int received(struct end *end, ssize_t n)
{
	if (n < 0) { /* only a client hangs up */
		uv_close((uv_handle_t *)&end->tcp, free_end);
		return 0;
	}
	end->got += (size_t)n;
	if (end->got < BYTES)
		return 0;
	end->got = 0;
	return 1;
}

static void on_server_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	(void)buf;
	if (received((struct end *)stream, n))
		send_all((struct end *)stream);
}

/* libuv's timers count whole milliseconds: the first one that is not before its time. */
static void on_pause_over(uv_timer_t *pause)
{
	struct end *end = pause->data;
	uint64_t now = uv_hrtime();

	if (now >= end->before) {
		send_all(end);
		return;
	}
	uv_update_time(pause->loop);
	uv_timer_start(pause, on_pause_over, (end->before - now + 999999) / 1000000, 0);
}

/* The client's next message. */
static void send_next(struct end *end)
{
	if (pause_ns == 0) {
		send_all(end);
		return;
	}
	end->before += pause_ns;
	on_pause_over(&end->pause);
}

static void on_client_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct end *end = (struct end *)stream;
	uint64_t now;

	(void)buf;
	if (!received(end, n))
		return;
	now = uv_hrtime();
	trips++;
	if (measuring)
		add_sample(now - end->before);
	if (pause_ns == 0 || now > end->before + pause_ns)
		end->before = now;
	if (stopping)
		uv_close((uv_handle_t *)&end->pause, close_client);
	else
		send_next(end);
}

static struct end *new_end(uv_loop_t *loop)
{
	struct end *end = calloc(1, sizeof(*end));

	check(end != NULL ? 0 : UV_ENOMEM, "memory");
	check(uv_tcp_init(loop, &end->tcp), "tcp");
	return end;
}

static void on_connection(uv_stream_t *server, int status)
{
	struct end *end = new_end(server->loop);

	check(status, "listen");
	check(uv_accept(server, (uv_stream_t *)&end->tcp), "accept");
	uv_tcp_nodelay(&end->tcp, 1);
	uv_read_start((uv_stream_t *)&end->tcp, give_buffer, on_server_read);
}

static void on_connected(uv_connect_t *connect, int status)
{
	struct end *end = (struct end *)connect->handle;

	check(status, "connect");
	uv_tcp_nodelay(&end->tcp, 1);
	uv_read_start((uv_stream_t *)&end->tcp, give_buffer, on_client_read);
	uv_timer_init(connect->handle->loop, &end->pause);
	end->pause.data = end;
	/* Those who pause take turns. */
	end->before = uv_hrtime() + pause_ns * clients_connected++ / client_count;
	send_next(end);
}

static void on_end_of_round(uv_timer_t *timer)
{
	counted_trips = trips - counted_trips;
	counted_ns = uv_hrtime() - counted_ns;
	counted_cpu = cpu_ns() - counted_cpu;
	measuring = 0;
	stopping = 1;
	if (on_end != NULL)
		on_end();
	uv_close((uv_handle_t *)timer, NULL);
	uv_close((uv_handle_t *)&listener, NULL);
}

static void on_warm(uv_timer_t *timer)
{
	measuring = 1;
	counted_trips = trips;
	counted_ns = uv_hrtime();
	counted_cpu = cpu_ns();
	uv_timer_start(timer, on_end_of_round, param("round-ms"), 0);
}

struct echo_outcome run_echo(uv_loop_t *loop, uint64_t clients, uint64_t pause_ms, void (*at_end)(void))
{
	int size = sizeof(address);
	uv_timer_t timer;

	clear_samples();
	measuring = stopping = 0;
	trips = counted_trips = clients_connected = 0;
	client_count = clients;
	pause_ns = pause_ms * 1000000;
	on_end = at_end;
	check(uv_tcp_init(loop, &listener), "tcp");
	uv_ip4_addr("127.0.0.1", 0, &address);
	check(uv_tcp_bind(&listener, (struct sockaddr *)&address, 0), "bind");
	check(uv_listen((uv_stream_t *)&listener, 4096, on_connection), "listen");
	check(uv_tcp_getsockname(&listener, (struct sockaddr *)&address, &size), "address");
	for (uint64_t i = 0; i < clients; i++) {
		struct end *end = new_end(loop);

		check(uv_tcp_connect(&end->connect, &end->tcp, (struct sockaddr *)&address, on_connected), "connect");
	}
	uv_timer_init(loop, &timer);
	uv_timer_start(&timer, on_warm, param("warmup-ms"), 0);
	uv_run(loop, UV_RUN_DEFAULT);
	sort_samples();
	return (struct echo_outcome){
		.trips_per_s = (double)counted_trips * 1e9 / (double)counted_ns,
		.cpu_us = (double)counted_cpu / 1e3 / (double)counted_trips,
	};
}

static void measure(uint64_t clients)
{
	struct echo_outcome outcome;
	char name[48];
	uv_loop_t loop;

	check(uv_loop_init(&loop), "loop");
	outcome = run_echo(&loop, clients, 0, NULL);
	uv_loop_close(&loop);
	printf("echo_%llu %g rt/s\n", (unsigned long long)clients, outcome.trips_per_s);
	printf("echo_%llu_cpu %g us\n", (unsigned long long)clients, outcome.cpu_us);
	snprintf(name, sizeof(name), "echo_%llu_p50", (unsigned long long)clients);
	report_quantile(name, 0.50);
	snprintf(name, sizeof(name), "echo_%llu_p99", (unsigned long long)clients);
	report_quantile(name, 0.99);
}

void echo(void)
{
	static const uint64_t usual[] = { 1, 100, 1000 };
	uint64_t clients = param("clients");

	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
		if (clients == 0 || i == 0)
			measure(clients > 0 ? clients : usual[i]);
	}
}
