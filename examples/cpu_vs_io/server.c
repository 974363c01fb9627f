/* SPDX-License-Identifier: MIT */
/* Who answers the requests: a server on rota in a process of its own, which takes its time for each. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cpu_vs_io.h"

static int answer(void *arg)
{
	int rc, fd = (int)(intptr_t)arg;
	unsigned char question[REQUEST_BYTES];

	while ((rc = read_whole(fd, question, sizeof(question))) == 0) {
		rc = rota_sleep(ROTA_MS(ANSWER_MS));
		if (rc == 0)
			rc = write_whole(fd, question, sizeof(question));
		if (rc < 0)
			break;
	}
	rota_close(fd);
	return rc == -EPIPE ? 0 : rc;
}

static int serve(void *arg)
{
	int listener = *(const int *)arg;

	for (;;) {
		int rc, fd = rota_accept(listener, NULL, NULL);

		if (fd < 0)
			return fd;
		rc = rota_spawn(NULL, answer, (void *)(intptr_t)fd);
		if (rc < 0)
			return rc;
	}
}

/* Ends by a signal: from the parent, or because the parent is gone. */
static void server_main(int listener)
{
	rota_runtime *rt;
	int rc;

	measure_be_child();
	rc = rota_runtime_new(&rt, NULL);
	if (rc == 0)
		rc = rota_block_on(rt, serve, &listener);
	fprintf(stderr, "cpu_vs_io: the server: %s\n", strerror(-rc));
	_exit(1);
}

int server_start(struct job *job, pid_t *ret_pid)
{
	int rc, listener = rota_tcp_listen("127.0.0.1", "0", 0);
	pid_t pid;

	if (listener < 0)
		return listener;
	rc = rota_local_port(listener);
	if (rc >= 0) {
		snprintf(job->port, sizeof(job->port), "%d", rc);
		fflush(NULL);
		pid = fork();
		if (pid == 0)
			server_main(listener);
		rc = pid < 0 ? -errno : 0;
		if (pid > 0)
			*ret_pid = pid;
	}
	rota_close(listener);
	return rc;
}

void server_stop(pid_t pid)
{
	kill(pid, SIGKILL); /* it is our child and not yet waited for: cannot fail */
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}
