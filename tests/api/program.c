/* SPDX-License-Identifier: MIT */
/* A program as a user writes it, with a bit of every folder; it is C11 and C++17. Exits with 0 when all went well. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rota.h>

#define NUMBERS 100

struct shared {
	struct rota_mutex lock;
	struct rota_notify ready;
	struct rota_oneshot answer;
	struct rota_channel numbers;
	int pipe[2];
	long sum;
};

static int produce(void *arg)
{
	struct shared *s = (struct shared *)arg;
	int rc = rota_notify_wait(&s->ready);

	for (int i = 1; i <= NUMBERS && rc == 0; i++)
		rc = rota_channel_send(&s->numbers, &i);
	rota_channel_close(&s->numbers);
	return rc;
}

static int consume(void *arg)
{
	struct shared *s = (struct shared *)arg;
	int number, rc;

	while ((rc = rota_channel_recv(&s->numbers, &number)) == 0) {
		rota_mutex_lock(&s->lock);
		s->sum += number;
		rota_mutex_unlock(&s->lock);
		rc = rota_yield();
		if (rc < 0)
			return rc;
	}
	return rc == -EPIPE ? 0 : rc;
}

static int write_greeting(void *arg)
{
	struct shared *s = (struct shared *)arg;
	ssize_t n;
	int rc = rota_sleep(ROTA_MS(1));

	if (rc < 0)
		return rc;
	n = rota_write_all(s->pipe[1], "hello", 5);
	rc = rota_close(s->pipe[1]);
	return n == 5 ? rc : -EIO;
}

static int block(void *arg)
{
	struct shared *s = (struct shared *)arg;

	sleep(0); /* anything that could block */
	return rota_oneshot_send(&s->answer, s);
}

static int join(rota_task *task)
{
	int status = -EIO;
	int rc = rota_join(task, &status);

	return rc < 0 ? rc : status;
}

static int check(bool holds, const char *what)
{
	if (!holds)
		fprintf(stderr, "wrong: %s\n", what);
	return holds ? 0 : 1;
}

static int run(struct shared *s)
{
	rota_task *producer, *consumers[2], *writer, *blocking;
	void *answer = NULL;
	char text[16];
	int wrong = 0;

	if (rota_spawn(&producer, produce, s) < 0 || rota_spawn(&consumers[0], consume, s) < 0 ||
	    rota_spawn(&consumers[1], consume, s) < 0 || rota_spawn(&writer, write_greeting, s) < 0 ||
	    rota_spawn_blocking(&blocking, block, s) < 0)
		return check(false, "spawn");
	rota_notify_one(&s->ready);
	wrong += check(rota_read_exact(s->pipe[0], text, sizeof(text)) == 5 && memcmp(text, "hello", 5) == 0, "pipe");
	wrong += check(rota_oneshot_recv(&s->answer, &answer) == 0 && answer == s, "oneshot");
	wrong += check(join(producer) == 0, "producer");
	wrong += check(join(consumers[0]) == 0 && join(consumers[1]) == 0, "consumers");
	wrong += check(join(writer) == 0, "writer");
	wrong += check(join(blocking) == 0, "blocking job");
	wrong += check(s->sum == NUMBERS * (NUMBERS + 1) / 2, "sum");
	wrong += check(rota_close(s->pipe[0]) == 0, "close");
	return wrong;
}

static int main_task(int argc, char **argv)
{
	struct shared *s = (struct shared *)calloc(1, sizeof(*s));
	int wrong;

	(void)argv;
	if (s == NULL || argc < 1 || pipe(s->pipe) < 0)
		return 1;
	rota_mutex_init(&s->lock);
	rota_notify_init(&s->ready);
	rota_oneshot_init(&s->answer);
	wrong = rota_channel_init(&s->numbers, sizeof(int), 8) < 0;
	if (wrong == 0)
		wrong = run(s);
	rota_channel_deinit(&s->numbers);
	free(s);
	return wrong;
}

int main(int argc, char **argv)
{
	int rc = rota_run(main_task, argc, argv);

	return rc == 0 ? 0 : 1;
}
