/* SPDX-License-Identifier: MIT */
/*
 * A TCP echo server and a thousand clients in one process, in as few lines as that takes: a task for each end of each
 * connection; the server in one scope, the clients in another one inside. Whatever fails ends all of it.
 *
 *   echo_thousand [clients [messages [pause in ms]]]     default 1000 clients, 5 messages each, 1000 ms after each
 *
 * Behind the program itself stands what counts its lines, CPU and memory. (echo_clients is the same under load.)
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <rota.h>

enum { FIRST_LINE = __LINE__ + 1 };
struct party {
	unsigned clients, messages, pause_ms;
	int listener;
	char port[12];
	struct rota_scope server;
};

static int serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char buffer[512];
	ssize_t n;

	while ((n = rota_read(fd, buffer, sizeof(buffer))) > 0 && (n = rota_write_all(fd, buffer, (size_t)n)) > 0)
		;
	rota_close(fd);
	return (int)n;
}

static int accept_all(void *arg)
{
	struct party *p = arg;
	int rc = 0, fd;

	while (rc == 0 && (rc = fd = rota_accept(p->listener, NULL, NULL)) >= 0)
		if ((rc = rota_scope_spawn(&p->server, NULL, serve, (void *)(intptr_t)fd)) < 0)
			rota_close(fd);
	return rc;
}

static int talk(void *arg)
{
	const struct party *p = arg;
	const char message[64] = "hello";
	char answer[64] = "";
	int fd = rota_tcp_connect("127.0.0.1", p->port);
	ssize_t n = fd < 0 ? fd : 0;

	for (unsigned i = 0; i < p->messages && n >= 0; i++) {
		n = rota_write_all(fd, message, sizeof(message));
		if (n >= 0)
			n = rota_read_exact(fd, answer, sizeof(answer));
		if (n >= 0)
			n = memcmp(message, answer, sizeof(answer)) == 0 ? rota_sleep(ROTA_MS(p->pause_ms)) : -EPROTO;
	}
	if (fd >= 0)
		rota_close(fd);
	return n < 0 ? (int)n : 0;
}

static int serve_and_talk(struct party *p)
{
	struct rota_scope clients;
	int closed, rc = rota_scope_open(&p->server, 0);

	if (rc < 0)
		return rc;
	rc = rota_scope_spawn(&p->server, NULL, accept_all, p);
	if (rc == 0 && (rc = rota_scope_open(&clients, 0)) == 0) {
		for (unsigned i = 0; i < p->clients && rc == 0; i++)
			rc = rota_scope_spawn(&clients, NULL, talk, p);
		closed = rota_scope_close(&clients); /* all of them have talked */
		rc = closed < 0 ? closed : rc;
	}
	rota_scope_cancel(&p->server);
	closed = rota_scope_close(&p->server);
	return closed < 0 && closed != -ECANCELED ? closed : rc;
}
enum { LAST_LINE = __LINE__ - 1 };

/* --- what it took ----------------------------------------------------------------------------------------------- */

#define PUBLISHED "published for the original: 41 lines, peak 4640 KiB, CPU 3%% with one thread, 20%% with many"

static double cpu_seconds(const struct rusage *usage)
{
	return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) +
	       (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e6;
}

static int measure(struct party *p)
{
	struct rusage before, after;
	struct rota_metrics metrics;
	uint64_t start = rota_now();
	double seconds;
	int rc;

	getrusage(RUSAGE_SELF, &before); /* cannot fail with these arguments */
	rc = serve_and_talk(p);
	if (rc < 0)
		return rc;
	seconds = (double)(rota_now() - start) / 1e9;
	getrusage(RUSAGE_SELF, &after);
	rota_runtime_metrics(rota_runtime_current(), &metrics);
	printf("%u clients, %u messages each, %u workers, %.2f s\n", p->clients, p->messages, metrics.workers, seconds);
	printf("%d lines, peak %ld KiB, CPU %.1f%% of one\n", LAST_LINE - FIRST_LINE + 1, after.ru_maxrss,
	       100 * (cpu_seconds(&after) - cpu_seconds(&before)) / seconds);
	printf(PUBLISHED "\n");
	return 0;
}

/* Both ends of each connection are descriptors of this process. */
static int allow_descriptors(unsigned clients)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	return limit.rlim_max < 2 * (rlim_t)clients + 64 ? -EMFILE : 0;
}

static int listen_and_measure(struct party *p)
{
	int port, rc = allow_descriptors(p->clients);

	if (rc < 0)
		return rc;
	p->listener = rota_tcp_listen("127.0.0.1", "0", 0);
	if (p->listener < 0)
		return p->listener;
	port = rc = rota_local_port(p->listener);
	if (rc >= 0) {
		snprintf(p->port, sizeof(p->port), "%d", port);
		rc = measure(p);
	}
	rota_close(p->listener);
	return rc;
}

static bool parse(unsigned *ret_numbers[], int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		char *end;
		unsigned long number = strtoul(argv[i], &end, 10);

		if (i > 3 || *argv[i] < '0' || *argv[i] > '9' || *end != '\0' || number == 0 || number > 1000000)
			return false;
		*ret_numbers[i - 1] = (unsigned)number;
	}
	return true;
}

static int async_main(int argc, char **argv)
{
	struct party p = { .clients = 1000, .messages = 5, .pause_ms = 1000 };
	int rc;

	if (!parse((unsigned *[]){ &p.clients, &p.messages, &p.pause_ms }, argc, argv)) {
		fprintf(stderr, "usage: %s [clients [messages [pause in ms]]]\n", argv[0]);
		return 2;
	}
	rc = listen_and_measure(&p);
	if (rc >= 0 && fflush(stdout) != 0)
		rc = -errno;
	if (rc < 0)
		fprintf(stderr, "echo_thousand: %s\n", strerror(-rc));
	return rc < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	return rota_run(async_main, argc, argv);
}
