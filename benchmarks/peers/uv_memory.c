/* SPDX-License-Identifier: MIT */
/*
 * What libuv keeps: benchmarks/connections.c, echo_memory.c, sleepers.c (a timer is the only thing here that sleeps)
 * and idle.c. The handles lie in one array, as small as they come; the other ends of connections are plain sockets.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "uv.h"

enum { PER_ADDRESS = 20000, SPARE_FDS = 64, BUFFER = 1024 };

static uint64_t rss_before;

static void report_rss(uint64_t count)
{
	printf("rss %g B\n", ((double)rss_bytes() - (double)rss_before) / (double)count);
}

static void *new_array(uint64_t count, size_t size)
{
	void *array = malloc(count * size); /* untouched: it counts once it is used */

	check(array != NULL ? 0 : UV_ENOMEM, "memory");
	return array;
}

static void check_errno(int rc, const char *what)
{
	check(rc < 0 ? uv_translate_sys_error(errno) : 0, what);
}

/* As many as were asked for, or as descriptors allow: each takes two. */
static uint64_t how_many(void)
{
	uint64_t wanted = param("connections"), allowed;
	struct rlimit limit;

	check_errno(getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
	allowed = limit.rlim_cur > SPARE_FDS ? (limit.rlim_cur - SPARE_FDS) / 2 : 0;
	if (wanted > allowed)
		printf("# RLIMIT_NOFILE allows %llu connections\n", (unsigned long long)allowed);
	return wanted > allowed ? allowed : wanted;
}

/* --- idle connections ------------------------------------------------------------------------------------------------ */

static void connect_pair(int listener, struct sockaddr_in *server, uint64_t i, int *client, int *peer)
{
	struct sockaddr_in local = { .sin_family = AF_INET };
	int late = 1; /* connect finds the port */

	*client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	check_errno(*client, "socket");
	local.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + (uint32_t)(i / PER_ADDRESS));
	check_errno(setsockopt(*client, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &late, sizeof(late)), "setsockopt");
	check_errno(bind(*client, (struct sockaddr *)&local, sizeof(local)), "bind");
	check_errno(connect(*client, (struct sockaddr *)server, sizeof(*server)), "connect");
	*peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	check_errno(*peer, "accept");
}

static void connect_all(int *clients, int *servers, uint64_t count)
{
	struct sockaddr_in server = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(server);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	check_errno(listener, "socket");
	check_errno(bind(listener, (struct sockaddr *)&server, size), "bind");
	check_errno(listen(listener, 128), "listen");
	check_errno(getsockname(listener, (struct sockaddr *)&server, &size), "address");
	for (uint64_t i = 0; i < count; i++)
		connect_pair(listener, &server, i, &clients[i], &servers[i]);
	close(listener);
}

static void give_sip(uv_handle_t *handle, size_t size, uv_buf_t *ret)
{
	static char sip[16];

	(void)handle;
	(void)size;
	*ret = uv_buf_init(sip, sizeof(sip));
}

static void on_sip(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	(void)buf;
	if (n < 0)
		uv_close((uv_handle_t *)stream, NULL);
}

static uint64_t connection_count;
static int *connection_clients;

static void look_and_hang_up(uv_timer_t *timer)
{
	printf("connections %llu count\n", (unsigned long long)connection_count);
	report_rss(connection_count);
	for (uint64_t i = 0; i < connection_count; i++)
		close(connection_clients[i]);
	uv_close((uv_handle_t *)timer, NULL);
}

void connections(void)
{
	uint64_t count = connection_count = how_many();
	int *clients = connection_clients = new_array(count, sizeof(int)), *servers = new_array(count, sizeof(int));
	uv_tcp_t *tcp = new_array(count, sizeof(*tcp));
	uv_timer_t timer;
	uv_loop_t loop;

	check(uv_loop_init(&loop), "loop");
	connect_all(clients, servers, count);
	rss_before = rss_bytes();
	for (uint64_t i = 0; i < count; i++) {
		check(uv_tcp_init(&loop, &tcp[i]), "tcp");
		check(uv_tcp_open(&tcp[i], servers[i]), "open");
		check(uv_read_start((uv_stream_t *)&tcp[i], give_sip, on_sip), "read");
	}
	uv_timer_init(&loop, &timer);
	uv_timer_start(&timer, look_and_hang_up, 500, 0);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	free(tcp);
	free(servers);
	free(clients);
}

/* --- connections that have echoed ------------------------------------------------------------------------------------ */

struct echo {
	uv_pipe_t pipe;
	uv_write_t write;
	char buffer[BUFFER];
};

static void give_buffer(uv_handle_t *handle, size_t size, uv_buf_t *ret)
{
	(void)size;
	*ret = uv_buf_init(((struct echo *)handle)->buffer, BUFFER);
}

static void on_written(uv_write_t *write, int status)
{
	(void)write;
	check(status, "write");
}

static void on_message(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct echo *echo = (struct echo *)stream;
	uv_buf_t answer = uv_buf_init(buf->base, n > 0 ? (unsigned)n : 0);

	if (n < 0)
		uv_close((uv_handle_t *)stream, NULL);
	else if (n > 0)
		check(uv_write(&echo->write, stream, &answer, 1, on_written), "write");
}

static void ask(uv_loop_t *loop, int fd)
{
	char message[BUFFER], answer[BUFFER];
	size_t got = 0;

	memset(message, 7, sizeof(message));
	check_errno(write(fd, message, BUFFER) == BUFFER ? 0 : -1, "write");
	while (got < BUFFER) {
		ssize_t n = recv(fd, answer + got, BUFFER - got, MSG_DONTWAIT);

		if (n > 0)
			got += (size_t)n;
		else if (n == 0 || errno != EAGAIN)
			check(UV_EPROTO, "answer");
		else
			uv_run(loop, UV_RUN_ONCE);
	}
	check(memcmp(message, answer, BUFFER) == 0 ? 0 : UV_EPROTO, "answer");
}

void echo_memory(void)
{
	uint64_t count = how_many();
	struct echo *echoes = new_array(count, sizeof(*echoes));
	int *peers = new_array(count, sizeof(*peers));
	uv_loop_t loop;

	check(uv_loop_init(&loop), "loop");
	rss_before = rss_bytes();
	for (uint64_t i = 0; i < count; i++) {
		int pair[2];

		check_errno(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), "socketpair");
		peers[i] = pair[0];
		check(uv_pipe_init(&loop, &echoes[i].pipe, 0), "pipe");
		check(uv_pipe_open(&echoes[i].pipe, pair[1]), "open");
		check(uv_read_start((uv_stream_t *)&echoes[i].pipe, give_buffer, on_message), "read");
		ask(&loop, peers[i]);
	}
	report_rss(count);
	for (uint64_t i = 0; i < count; i++)
		close(peers[i]);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	free(peers);
	free(echoes);
}

/* --- sleepers -------------------------------------------------------------------------------------------------------- */

static void on_wake(uv_timer_t *timer)
{
	uv_close((uv_handle_t *)timer, NULL);
}

void sleepers(void)
{
	uint64_t count = param("tasks"), sleep_ms = param("sleep-ms"), start, deadline;
	uv_timer_t *timers = new_array(count, sizeof(*timers));
	uv_loop_t loop;

	check(uv_loop_init(&loop), "loop");
	rss_before = rss_bytes();
	uv_update_time(&loop);
	start = uv_hrtime();
	deadline = start + sleep_ms * 1000000;
	for (uint64_t i = 0; i < count; i++) {
		uv_timer_init(&loop, &timers[i]);
		uv_timer_start(&timers[i], on_wake, sleep_ms, 0);
	}
	printf("start %g ns\n", (double)(uv_hrtime() - start) / (double)count);
	report_rss(count);
	uv_run(&loop, UV_RUN_DEFAULT);
	printf("wake_join %g ns\n", ((double)uv_hrtime() - (double)deadline) / (double)count);
	uv_loop_close(&loop);
	free(timers);
}

/* --- idle ------------------------------------------------------------------------------------------------------------ */

static void never(uv_stream_t *stream, int status)
{
	(void)stream;
	(void)status;
	abort();
}

static void on_stop(uv_async_t *stop)
{
	uv_stop(stop->loop);
}

static void run_loop(void *loop)
{
	uv_run(loop, UV_RUN_DEFAULT);
}

/* How often threads other than this one went to sleep. */
static long switches(void)
{
	struct rusage all, own;

	check_errno(getrusage(RUSAGE_SELF, &all), "rusage");
	check_errno(getrusage(RUSAGE_THREAD, &own), "rusage");
	return all.ru_nvcsw - own.ru_nvcsw;
}

void idle(void)
{
	struct sockaddr_in address;
	uv_thread_t thread;
	uv_async_t stop;
	uv_tcp_t listener;
	uv_loop_t loop;
	uint64_t cpu;
	long slept;

	check(uv_loop_init(&loop), "loop");
	check(uv_async_init(&loop, &stop, on_stop), "async");
	check(uv_tcp_init(&loop, &listener), "tcp");
	uv_ip4_addr("127.0.0.1", 0, &address);
	check(uv_tcp_bind(&listener, (struct sockaddr *)&address, 0), "bind");
	check(uv_listen((uv_stream_t *)&listener, 1, never), "listen");
	check(uv_thread_create(&thread, run_loop, &loop), "thread");
	uv_sleep((unsigned)param("settle-ms"));
	slept = switches();
	cpu = cpu_ns();
	uv_sleep((unsigned)param("seconds") * 1000);
	printf("cpu %g us\n", (double)(cpu_ns() - cpu) / 1e3);
	printf("switches %ld count\n", switches() - slept);
	printf("rss %g KiB\n", (double)rss_bytes() / 1024);
	uv_async_send(&stop);
	uv_thread_join(&thread);
}
