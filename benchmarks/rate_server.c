/* SPDX-License-Identifier: MIT */
/* The echo server that the benchmark rate starts: rate_server --port N [--workers N]. A fiber for each connection. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <rota.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFER = 4096 };

static const char *port = "0";

static int echo(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char buffer[BUFFER];
	ssize_t n;

	while ((n = rota_recv(fd, buffer, sizeof(buffer), 0)) > 0) {
		n = rota_write_all(fd, buffer, (size_t)n);
		if (n < 0)
			break;
	}
	rota_close(fd);
	return 0;
}

static int serve(void *arg)
{
	static const int one = 1;
	int fd, listener = rota_tcp_listen("127.0.0.1", port, 0);

	(void)arg;
	if (listener < 0)
		return listener;
	while ((fd = rota_accept(listener, NULL, NULL)) >= 0) {
		int rc = setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));

		if (rc == 0)
			rc = rota_spawn(NULL, echo, (void *)(intptr_t)fd);
		if (rc < 0)
			rota_close(fd);
	}
	rota_close(listener);
	return fd;
}

int main(int argc, char **argv)
{
	struct rota_config config = { 0 };
	rota_runtime *rt;
	int rc;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--port") == 0)
			port = argv[i + 1];
		else if (strcmp(argv[i], "--workers") == 0)
			config.workers = (unsigned)strtoul(argv[i + 1], NULL, 10);
	}
	rc = rota_runtime_new(&rt, &config);
	if (rc == 0)
		rc = rota_block_on(rt, serve, NULL);
	fprintf(stderr, "rate_server: %s\n", strerror(-rc));
	return 1;
}
