/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "load.h"

enum { STOP_SECONDS = 20 };

/* "listening on 127.0.0.1 port 12345" */
static int read_port(struct load_server *server)
{
	char greeting[128];
	ssize_t n = rota_read(server->process.out, greeting, sizeof(greeting) - 1);
	const char *port;

	if (n <= 0)
		return n < 0 ? (int)n : -EPROTO;
	greeting[n] = '\0';
	port = strrchr(greeting, ' ');
	if (port == NULL || sscanf(port, " %15[0-9]", server->port) != 1)
		return -EPROTO;
	return 0;
}

int load_server_start(struct load_server *server, const char *program, unsigned clients)
{
	char limit[16], *argv[] = { (char *)program, "--clients", limit, "127.0.0.1", "0", NULL };
	const struct rota_process_config config = {
		.argv = argv,
		.out = { .kind = ROTA_PROCESS_PIPE },
		.flags = ROTA_PROCESS_KILL_ON_CLOSE,
	};
	int rc;

	snprintf(limit, sizeof(limit), "%u", clients);
	rc = rota_process_spawn(&server->process, &config);
	if (rc < 0)
		return rc;
	rc = read_port(server);
	if (rc < 0)
		rota_process_close(&server->process);
	return rc;
}

int load_server_memory(const struct load_server *server, struct load_memory *ret)
{
	char path[64], text[8192];
	const char *now, *peak;
	size_t len;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)server->process.pid);
	file = fopen(path, "r");
	if (file == NULL)
		return -errno;
	len = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[len] = '\0';
	now = strstr(text, "VmRSS:");
	peak = strstr(text, "VmHWM:");
	if (now == NULL || peak == NULL)
		return -EPROTO;
	ret->now_kib = strtol(now + strlen("VmRSS:"), NULL, 10);
	ret->peak_kib = strtol(peak + strlen("VmHWM:"), NULL, 10);
	return 0;
}

int load_server_stop(struct load_server *server)
{
	int status = 0, rc = rota_process_terminate(&server->process, ROTA_SECONDS(STOP_SECONDS), &status);

	rota_process_close(&server->process);
	if (rc < 0)
		return rc;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPROTO;
}
