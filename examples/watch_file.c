/* SPDX-License-Identifier: MIT */
/*
 * Watches a file: one task asks for its status every 100 ms and tells when it has changed, another then reads and prints
 * it. Status, open, read and close all go through the ring: no thread of the blocking pool is used, and the program says so.
 *
 *   watch_file [file [changes]]     without a file: a temporary one, which a third task changes three times
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

enum { PERIOD_MS = 100, CHANGES = 3, LIMIT = 1024 * 1024 };

struct watch {
	const char *path;
	struct rota_notify changed;
};

static bool same(const struct statx *a, const struct statx *b)
{
	return a->stx_ino == b->stx_ino && a->stx_size == b->stx_size && a->stx_mtime.tv_sec == b->stx_mtime.tv_sec &&
	       a->stx_mtime.tv_nsec == b->stx_mtime.tv_nsec;
}

/* Until it is cancelled. A file that is not there for a moment is looked for again. */
static int look(void *arg)
{
	struct watch *watch = arg;
	struct statx now, before = { .stx_ino = 0 };
	int rc;

	do {
		rc = rota_statx(AT_FDCWD, watch->path, 0, STATX_INO | STATX_SIZE | STATX_MTIME, &now);
		if (rc == 0 && !same(&now, &before)) {
			before = now;
			rota_notify_one(&watch->changed);
		}
		rc = rc == -ENOENT ? 0 : rc;
		if (rc == 0)
			rc = rota_sleep(ROTA_MS(PERIOD_MS));
	} while (rc == 0);
	return rc;
}

static int print_changes(struct watch *watch, int changes)
{
	int rc = 0;

	for (int i = 1; i <= changes && rc == 0; i++) {
		char *text;
		size_t len;

		rc = rota_notify_wait(&watch->changed);
		if (rc < 0)
			break;
		rc = rota_read_file(watch->path, LIMIT, &text, &len);
		if (rc < 0)
			break;
		printf("change %d: %zu bytes: %.*s\n", i, len, (int)strcspn(text, "\n"), text);
		fflush(stdout);
		free(text);
	}
	return rc;
}

/* Replaces the file now and then, each time as a whole. */
static int change(void *arg)
{
	const char *path = arg;
	char text[64];
	int rc = 0;

	for (int i = 1; i <= CHANGES && rc == 0; i++) {
		int len = snprintf(text, sizeof(text), "content number %d\n", i);

		rc = rota_write_file(path, text, (size_t)len, 0600);
		if (rc == 0)
			rc = rota_sleep(ROTA_MS(3 * PERIOD_MS));
	}
	return rc;
}

static int watch_file(const char *path, int changes)
{
	struct watch watch = { .path = path, .changed = ROTA_NOTIFY_INIT };
	rota_task *looker;
	int rc = rota_spawn(&looker, look, &watch);

	if (rc < 0)
		return rc;
	rc = print_changes(&watch, changes);
	rota_cancel(looker);
	rota_join(looker, NULL);
	return rc;
}

static int watch_sample(void)
{
	const char *directory = getenv("TMPDIR");
	rota_task *changer;
	char path[4096];
	int rc, status;

	rc = snprintf(path, sizeof(path), "%s/watch_file-%d", directory ? directory : "/tmp", (int)getpid());
	if (rc >= (int)sizeof(path))
		return -ENAMETOOLONG;
	rc = rota_spawn(&changer, change, path);
	if (rc < 0)
		return rc;
	rc = watch_file(path, CHANGES);
	if (rota_join(changer, &status) == 0 && rc == 0)
		rc = status;
	status = rota_unlink(path);
	return rc < 0 ? rc : status;
}

static int async_main(int argc, char **argv)
{
	struct rota_metrics metrics;
	int rc = argc > 1 ? watch_file(argv[1], argc > 2 ? atoi(argv[2]) : 1) : watch_sample();

	if (rc < 0)
		fprintf(stderr, "watch_file: %s\n", strerror(-rc));
	rota_runtime_metrics(rota_runtime_current(), &metrics);
	printf("%u threads of the blocking pool\n", metrics.blocking_threads);
	return rc < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	return rota_run(async_main, argc, argv);
}
