/* SPDX-License-Identifier: MIT */
/*
 * When do tasks win, when do threads? Three kinds of work, each done in six ways.
 *
 *   computing   fib(n), a piece a call
 *   requests    a connection to a server in another process, which takes 20 ms to answer each
 *   files       small files written over and read back
 *
 * One piece after the other; a thread for each; a pool of 8 threads; a process for each; a task for each, on one thread
 * and on all workers. The pieces are the same functions all the time: rota's calls suspend a task and block a plain thread.
 * Time, CPU, peak memory and context switches of each are those of a process of its own; with a process for each piece, of
 * all of them together, each at the end of its piece.
 *
 *   cpu_vs_io [--quick] [directory]
 *
 * With a directory, which must exist, the table is also written there as cpu_vs_io.txt and cpu_vs_io.json, and, where
 * gnuplot is installed, drawn as cpu_vs_io.svg. SIGINT and SIGTERM end it; its files are removed all the same.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu_vs_io.h"

static const struct size usual_size = { 8, 200, 100, 37, 1, 20, 20 };
static const struct size quick_size = { 4, 10, 10, 20, 1, 4, 2 };

/* --- the measurements ------------------------------------------------------------------------------------------- */

static void report(FILE *text, const struct kind *kind, int way)
{
	report_row(stdout, kind, way);
	if (text)
		report_row(text, kind, way);
}

static int measure_kind(const struct job *job, struct kind *kind, FILE *text)
{
	int rc = kind->warm_up ? measure(job, kind, &ways[0], &kind->figures[0]) : 0;

	for (int way = 0; way < WAYS && rc == 0; way++) {
		rc = measure(job, kind, &ways[way], &kind->figures[way]);
		if (rc == 0)
			report(text, kind, way);
		else
			fprintf(stderr, "cpu_vs_io: %s, %s: %s\n", kind->name, ways[way].name, strerror(-rc));
	}
	return rc;
}

static int measure_kinds(const struct job *job, struct kind *kinds, FILE *text)
{
	int rc = 0;

	report_head(stdout, job->size);
	if (text)
		report_head(text, job->size);
	for (int k = 0; k < KINDS && rc == 0; k++)
		rc = measure_kind(job, &kinds[k], text);
	return rc;
}

/* --- what is left of it in a directory -------------------------------------------------------------------------- */

static int path_of(char path[PATH_BYTES], const char *directory, const char *name)
{
	return snprintf(path, PATH_BYTES, "%s/%s", directory, name) < PATH_BYTES ? 0 : -ENAMETOOLONG;
}

static int write_json_and_picture(const char *directory, const struct kind *kinds)
{
	char path[PATH_BYTES];
	int rc = path_of(path, directory, "cpu_vs_io.json");

	if (rc == 0)
		rc = report_json(path, kinds);
	if (rc == 0)
		rc = path_of(path, directory, "cpu_vs_io.svg");
	if (rc < 0)
		return rc;
	rc = picture_draw(path, kinds);
	if (rc == -ENOENT) {
		printf("\nno picture: gnuplot is not installed\n");
		return 0;
	}
	if (rc == 0)
		printf("\nthe picture: %s\n", path);
	return rc;
}

static int measure_into(const struct job *job, struct kind *kinds, const char *directory)
{
	char path[PATH_BYTES];
	FILE *text;
	int rc = path_of(path, directory, "cpu_vs_io.txt");

	if (rc < 0)
		return rc;
	text = fopen(path, "we");
	if (!text) {
		rc = -errno;
		fprintf(stderr, "cpu_vs_io: %s: %s\n", path, strerror(-rc));
		return rc;
	}
	rc = measure_kinds(job, kinds, text);
	if (fclose(text) != 0 && rc == 0)
		rc = -errno;
	return rc < 0 ? rc : write_json_and_picture(directory, kinds);
}

/* --- the stage: a server, and a directory for the files --------------------------------------------------------- */

static int make_directory(struct job *job)
{
	const char *base = getenv("TMPDIR");
	int rc = path_of(job->directory, base ? base : "/tmp", "cpu_vs_io-XXXXXX");

	if (rc < 0)
		return rc;
	return mkdtemp(job->directory) ? 0 : -errno;
}

/* Not every file need be there: a measurement may have failed. */
static int remove_directory(const struct job *job)
{
	char path[PATH_BYTES + 32];

	for (size_t piece = 0; piece < job->size->file_pieces; piece++) {
		for (unsigned i = 0; i < job->size->files; i++) {
			file_path(job, piece, i, path);
			if (unlink(path) < 0 && errno != ENOENT)
				return -errno;
		}
	}
	return rmdir(job->directory) < 0 ? -errno : 0;
}

static int compare(const struct job *job, const char *directory)
{
	const struct size *s = job->size;
	struct kind kinds[KINDS] = {
		{ .name = "computing", .work = work_compute, .pieces = s->compute_pieces },
		{ .name = "requests", .work = work_request, .pieces = s->request_pieces },
		{ .name = "files", .work = work_files, .pieces = s->file_pieces, .warm_up = true },
	};

	return directory ? measure_into(job, kinds, directory) : measure_kinds(job, kinds, NULL);
}

static int run(const struct size *size, const char *directory)
{
	static struct job job;
	pid_t server = 0;
	int rc, removed;

	job.size = size;
	rc = make_directory(&job);
	if (rc < 0)
		return rc;
	rc = server_start(&job, &server);
	if (rc == 0) {
		rc = compare(&job, directory);
		server_stop(server);
	}
	removed = remove_directory(&job);
	return rc < 0 ? rc : removed;
}

int main(int argc, char **argv)
{
	const bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
	const int first = quick ? 2 : 1;
	int rc;

	if (argc > first + 1 || (argc > first && argv[first][0] == '-')) {
		fprintf(stderr, "usage: %s [--quick] [directory]\n", argv[0]);
		return 2;
	}
	measure_until_told();
	rc = run(quick ? &quick_size : &usual_size, argc > first ? argv[first] : NULL);
	if (rc >= 0 && fflush(stdout) != 0)
		rc = -errno;
	if (rc < 0)
		fprintf(stderr, "cpu_vs_io: %s\n", strerror(-rc));
	return rc < 0 ? 1 : 0;
}
