/* SPDX-License-Identifier: MIT */
/*
 * Watches a file: one task asks for its status every 100 ms and sends it into a watch channel when it has changed; another
 * waits there, and reads and prints the file. Status, open, read and close all go through the ring: no thread of the
 * blocking pool is used, and the program says so.
 *
 *   watch_file [file [changes]]     without a file: a temporary one, which a third task changes three times
 *
 * A watch channel keeps the latest value only: who is slow misses changes, never the last one.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rota.h>

enum { PERIOD_MS = 100, CHANGES = 3, MAX_CHANGES = 1000000, LIMIT = 1024 * 1024 };

struct watched {
	const char *path;
	struct rota_watch status;       /* of struct statx */
	struct rota_semaphore *printed; /* gets a permit for each change that was printed; NULL: nobody waits for that */
};

static bool same(const struct statx *a, const struct statx *b)
{
	return a->stx_ino == b->stx_ino && a->stx_size == b->stx_size && a->stx_mtime.tv_sec == b->stx_mtime.tv_sec &&
	       a->stx_mtime.tv_nsec == b->stx_mtime.tv_nsec;
}

/* Until it is cancelled. A file that is not there for a moment is looked for again. */
static int look(void *arg)
{
	struct watched *w = arg;
	struct statx now, before = { .stx_ino = 0 };
	int rc;

	do {
		rc = rota_statx(AT_FDCWD, w->path, 0, STATX_INO | STATX_SIZE | STATX_MTIME, &now);
		if (rc == 0 && !same(&now, &before)) {
			before = now;
			rc = rota_watch_send(&w->status, &now);
		}
		if (rc == -ENOENT)
			before.stx_ino = 0; /* when it is back, it has changed */
		if (rc == 0 || rc == -ENOENT)
			rc = rota_sleep(ROTA_MS(PERIOD_MS));
	} while (rc == 0);
	rota_watch_close(&w->status); /* nothing more comes */
	return rc;
}

static int print_change(const struct watched *w, unsigned long number)
{
	char *text;
	size_t len;
	int rc = rota_read_file(w->path, LIMIT, &text, &len);

	if (rc < 0)
		return rc;
	printf("change %lu: %zu bytes: %.*s\n", number, len, (int)strcspn(text, "\n"), text);
	rc = fflush(stdout) != 0 ? -errno : 0;
	free(text);
	return rc;
}

static int print_changes(struct watched *w, struct rota_watch_receiver *receiver, unsigned long changes)
{
	int rc = 0;

	for (unsigned long i = 1; i <= changes && rc == 0;) {
		rc = rota_watch_changed(receiver, NULL);
		if (rc == 0)
			rc = print_change(w, i);
		if (rc == -ENOENT) { /* it is gone by now, and its return is another change */
			rc = 0;
			continue;
		}
		if (rc == 0 && w->printed)
			rc = rota_semaphore_release(w->printed, 1);
		i++;
	}
	return rc;
}

/* The looker's own error, when it gave up, says more than that no change came. */
static int watch_file(struct watched *w, unsigned long changes)
{
	const struct statx none = { .stx_ino = 0 };
	struct rota_watch_receiver receiver;
	rota_task *looker;
	int looked = 0, rc = rota_watch_init(&w->status, sizeof(none), &none);

	if (rc < 0)
		return rc;
	rota_watch_subscribe(&w->status, &receiver);
	rc = rota_spawn(&looker, look, w);
	if (rc == 0) {
		rc = print_changes(w, &receiver, changes);
		rota_cancel(looker);
		rota_shield_enter(); /* it uses what is on this stack */
		rota_join(looker, &looked);
		rota_shield_leave();
	}
	rota_watch_deinit(&w->status);
	return rc == -EPIPE ? looked : rc;
}

/* One that is not there may come; or the name is not what was meant. */
static int watch_given(const char *path, unsigned long changes)
{
	struct statx status;

	if (rota_statx(AT_FDCWD, path, 0, STATX_INO, &status) == -ENOENT)
		fprintf(stderr, "watch_file: %s: is not there yet\n", path);
	return watch_file(&(struct watched){ .path = path }, changes);
}

struct change {
	const char *path;
	struct rota_semaphore printed;
};

/* Replaces the file, each time as a whole, and again when that was printed. */
static int change(void *arg)
{
	struct change *c = arg;
	char text[64];
	int rc = 0;

	for (int i = 1; i <= CHANGES && rc == 0; i++) {
		int len = snprintf(text, sizeof(text), "content number %d\n", i);

		rc = rota_write_file(c->path, text, (size_t)len, 0600);
		if (rc == 0)
			rc = rota_semaphore_acquire(&c->printed, 1);
	}
	return rc;
}

/* The first that fails stops the other. */
static int watch_changing(const char *path)
{
	struct change c = { .path = path, .printed = ROTA_SEMAPHORE_INIT(0) };
	struct watched w = { .path = path, .printed = &c.printed };
	struct rota_scope scope;
	int closed, rc = rota_scope_open(&scope, 0);

	if (rc < 0)
		return rc;
	rc = rota_scope_spawn(&scope, NULL, change, &c);
	if (rc == 0)
		rc = watch_file(&w, CHANGES);
	if (rc < 0)
		rota_scope_cancel(&scope);
	closed = rota_scope_close(&scope);
	return closed < 0 && closed != -ECANCELED ? closed : rc;
}

static int watch_sample(void)
{
	const char *directory = getenv("TMPDIR");
	char path[4096];
	int removed,
		rc = snprintf(path, sizeof(path), "%s/watch_file-%d", directory ? directory : "/tmp", (int)getpid());

	if (rc >= (int)sizeof(path))
		return -ENAMETOOLONG;
	rc = watch_changing(path);
	removed = rota_unlink(path);
	return rc < 0 ? rc : removed;
}

static int async_main(int argc, char **argv)
{
	struct rota_metrics metrics;
	unsigned long changes = 1;
	char *end = "";
	int rc;

	if (argc > 2)
		changes = strtoul(argv[2], &end, 10);
	if (argc > 3 || (argc > 1 && argv[1][0] == '-') || *end != '\0' || changes == 0 || changes > MAX_CHANGES) {
		fprintf(stderr, "usage: %s [file [changes]]\n", argv[0]);
		return 2;
	}
	rc = argc > 1 ? watch_given(argv[1], changes) : watch_sample();
	rota_runtime_metrics(rota_runtime_current(), &metrics);
	if (rc == 0)
		printf("%u threads of the blocking pool\n", metrics.blocking_threads);
	if (rc == 0 && fflush(stdout) != 0)
		rc = -errno;
	if (rc < 0)
		fprintf(stderr, "watch_file: %s\n", strerror(-rc));
	return rc < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	return rota_run(async_main, argc, argv);
}
