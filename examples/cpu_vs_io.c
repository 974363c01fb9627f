/* SPDX-License-Identifier: MIT */
/*
 * When do tasks win, and when do threads? Three kinds of work, each cut into pieces that are done one after the
 * other, by a thread for each piece, and by a task for each piece:
 *
 *   computing   fib(n), a piece a call
 *   requests    a connection to a server in another process, which takes 20 ms to answer each
 *   files       small files written over and read back
 *
 * The pieces are the same functions all three times: rota's calls suspend a task and block a plain thread. Each
 * measurement is a process of its own, so that its CPU time and peak memory are what the kernel counted for it.
 *
 *   cpu_vs_io [--quick] [--json FILE]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rota.h>

enum { REQUEST_BYTES = 64, FILE_BYTES = 4 * 1024, ANSWER_MS = 20, PATH_BYTES = 4096 };

/* How much work. */
struct size {
	size_t compute_pieces, request_pieces, file_pieces;
	unsigned fib_n;
	unsigned requests; /* of a piece, one after the other on one connection */
	unsigned files;    /* of a piece */
	unsigned passes;   /* over its files */
};

static const struct size usual_size = { 8, 200, 100, 39, 1, 20, 50 };
static const struct size quick_size = { 4, 10, 10, 20, 1, 4, 2 };

/* What all pieces share. */
struct job {
	const struct size *size;
	char port[16];              /* of the server */
	char directory[PATH_BYTES]; /* for the files */
};

struct piece {
	const struct job *job;
	size_t number;
	int status;
};

/* ---- the pieces: rota_fn, run by a task or by a plain thread ---- */

static __attribute__((noinline)) uint64_t fib(unsigned n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static int compute(void *arg)
{
	const struct piece *piece = arg;
	unsigned n = piece->job->size->fib_n;
	uint64_t a = 0, b = 1;

	for (unsigned i = 0; i < n; i++) {
		uint64_t next = a + b;

		a = b;
		b = next;
	}
	return fib(n) == a ? 0 : -EBADMSG;
}

/* All `len` bytes written, or an error. */
static int write_whole(int fd, const unsigned char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = rota_write_all(fd, bytes, len);

		if (n < 0)
			return (int)n;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

/* All `len` bytes read, or an error; -EPIPE: the end came first. */
static int read_whole(int fd, unsigned char *bytes, size_t len)
{
	ssize_t n = rota_read_exact(fd, bytes, len);

	if (n < 0)
		return (int)n;
	return (size_t)n == len ? 0 : -EPIPE;
}

/* Bytes that depend on the piece, on a number within it, and on the process: what an earlier run has left in the
 * files is not what this one reads back. */
static void fill(unsigned char *bytes, size_t len, size_t piece, unsigned number)
{
	size_t seed = piece * 31 + number * 7 + (size_t)getpid();

	for (size_t i = 0; i < len; i++)
		bytes[i] = (unsigned char)(i + seed);
}

static int request(void *arg)
{
	const struct piece *piece = arg;
	unsigned char question[REQUEST_BYTES], answer[REQUEST_BYTES];
	int rc = 0, fd = rota_tcp_connect("127.0.0.1", piece->job->port);

	if (fd < 0)
		return fd;
	for (unsigned i = 0; i < piece->job->size->requests && rc == 0; i++) {
		fill(question, sizeof(question), piece->number, i);
		rc = write_whole(fd, question, sizeof(question));
		if (rc == 0)
			rc = read_whole(fd, answer, sizeof(answer));
		if (rc == 0 && memcmp(question, answer, sizeof(question)) != 0)
			rc = -EBADMSG;
	}
	rota_close(fd);
	return rc;
}

static int write_file(const char *path, const unsigned char *bytes, size_t len)
{
	int rc, closed, fd = rota_open(path, O_WRONLY | O_CREAT, 0600);

	if (fd < 0)
		return fd;
	rc = write_whole(fd, bytes, len);
	closed = rota_close(fd);
	return rc < 0 ? rc : closed;
}

static int read_file(const char *path, unsigned char *bytes, size_t len)
{
	int rc, fd = rota_open(path, O_RDONLY, 0);

	if (fd < 0)
		return fd;
	rc = read_whole(fd, bytes, len);
	rota_close(fd);
	return rc;
}

static int one_file(const struct piece *piece, unsigned number, unsigned pass)
{
	unsigned char written[FILE_BYTES], read[FILE_BYTES];
	char path[PATH_BYTES + 32];
	int rc;

	snprintf(path, sizeof(path), "%s/%zu-%u", piece->job->directory, piece->number, number);
	fill(written, sizeof(written), piece->number, number + pass);
	rc = write_file(path, written, sizeof(written));
	if (rc == 0)
		rc = read_file(path, read, sizeof(read));
	if (rc == 0 && memcmp(written, read, sizeof(written)) != 0)
		rc = -EBADMSG;
	return rc;
}

static int files(void *arg)
{
	const struct piece *piece = arg;
	const struct size *size = piece->job->size;
	int rc = 0;

	for (unsigned pass = 0; pass < size->passes; pass++)
		for (unsigned i = 0; i < size->files && rc == 0; i++)
			rc = one_file(piece, i, pass);
	return rc;
}

/* ---- the ways to do all pieces ---- */

struct pieces {
	rota_fn *work;
	struct piece *each;
	size_t count;
};

static int do_in_turn(struct pieces *p)
{
	int rc = 0;

	for (size_t i = 0; i < p->count && rc == 0; i++)
		rc = p->work(&p->each[i]);
	return rc;
}

struct thread {
	pthread_t id;
	rota_fn *work;
	struct piece *piece;
};

static void *thread_main(void *arg)
{
	struct thread *thread = arg;

	thread->piece->status = thread->work(thread->piece);
	return NULL;
}

static int do_in_threads(struct pieces *p)
{
	struct thread *threads = calloc(p->count, sizeof(*threads));
	size_t started = 0;
	int rc = 0;

	if (!threads)
		return -ENOMEM;
	for (; started < p->count && rc == 0; started += rc == 0) {
		threads[started].work = p->work;
		threads[started].piece = &p->each[started];
		rc = -pthread_create(&threads[started].id, NULL, thread_main, &threads[started]);
	}
	for (size_t i = 0; i < started; i++) {
		int joined = -pthread_join(threads[i].id, NULL);

		joined = joined < 0 ? joined : p->each[i].status;
		rc = rc < 0 ? rc : joined;
	}
	free(threads);
	return rc;
}

/* The main task: spawns one for each piece and joins them. */
static int spawn_and_join(void *arg)
{
	struct pieces *p = arg;
	rota_task **tasks = calloc(p->count, sizeof(*tasks));
	size_t started = 0;
	int rc = 0;

	if (!tasks)
		return -ENOMEM;
	for (; started < p->count && rc == 0; started += rc == 0)
		rc = rota_spawn(&tasks[started], p->work, &p->each[started]);
	for (size_t i = 0; i < started; i++) {
		int status = 0, joined = rota_join(tasks[i], &status);

		joined = joined < 0 ? joined : status;
		rc = rc < 0 ? rc : joined;
	}
	free(tasks);
	return rc;
}

static int do_in_tasks(struct pieces *p)
{
	rota_runtime *rt;
	int rc = rota_runtime_new(&rt, NULL);

	if (rc < 0)
		return rc;
	rc = rota_block_on(rt, spawn_and_join, p);
	rota_runtime_free(rt);
	return rc;
}

static int do_pieces(const struct job *job, rota_fn *work, size_t count, int (*way)(struct pieces *))
{
	struct pieces p = { .work = work, .count = count, .each = calloc(count, sizeof(*p.each)) };
	int rc;

	if (!p.each)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		p.each[i] = (struct piece){ .job = job, .number = i };
	rc = way(&p);
	free(p.each);
	return rc;
}

/* ---- the server, in a process of its own ---- */

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
	int rc = prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ? -errno : 0;

	if (rc == 0)
		rc = rota_runtime_new(&rt, NULL);
	if (rc == 0)
		rc = rota_block_on(rt, serve, &listener);
	fprintf(stderr, "cpu_vs_io: the server: %s\n", strerror(-rc));
	_exit(1);
}

static int start_server(struct job *job, pid_t *ret_pid)
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

static void stop_server(pid_t pid)
{
	kill(pid, SIGKILL); /* it is our child and not yet waited for: cannot fail */
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* ---- one measurement, in a process of its own ---- */

struct figures {
	double wall, cpu; /* seconds */
	long peak_kib;
};

enum { KINDS = 3, WAYS = 3 };

static const struct {
	const char *name;
	int (*run)(struct pieces *);
} ways[WAYS] = { { "sequential", do_in_turn }, { "threads", do_in_threads }, { "rota tasks", do_in_tasks } };

struct kind {
	const char *name;
	rota_fn *work;
	size_t pieces;
	bool warm_up; /* one run more: the first makes the files, and pays for the kernel's memory of them */
	struct figures figures[WAYS];
};

/* What the child tells of itself; the rest the kernel does. */
struct told {
	int status;
	uint64_t ns;
};

static void child_main(const struct job *job, const struct kind *kind, int way, int fd)
{
	struct told told;
	uint64_t start = rota_now();

	told.status = do_pieces(job, kind->work, kind->pieces, ways[way].run);
	told.ns = rota_now() - start;
	_exit(write(fd, &told, sizeof(told)) == sizeof(told) ? 0 : 1);
}

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

/* Reads what the child told and waits for its end. */
static int child_result(pid_t pid, int fd, struct figures *ret)
{
	struct told told = { 0 };
	struct rusage usage;
	int status;
	bool heard = read(fd, &told, sizeof(told)) == sizeof(told);

	while (wait4(pid, &status, 0, &usage) < 0)
		if (errno != EINTR)
			return -errno;
	if (!heard || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return -ECHILD;
	if (told.status < 0)
		return told.status;
	ret->wall = (double)told.ns / 1e9;
	ret->cpu = seconds(usage.ru_utime) + seconds(usage.ru_stime);
	ret->peak_kib = usage.ru_maxrss;
	return 0;
}

static int measure(const struct job *job, const struct kind *kind, int way, struct figures *ret)
{
	int rc = 0, fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		child_main(job, kind, way, fds[1]);
	if (pid < 0)
		rc = -errno;
	close(fds[1]);
	if (pid > 0)
		rc = child_result(pid, fds[0], ret);
	close(fds[0]);
	return rc;
}

/* ---- the table ---- */

static void print_row(const struct kind *kind, int way)
{
	const struct figures *f = &kind->figures[way];

	printf("%-10s %-11s %9.3f %9.3f %12ld %11.2fx\n", way == 0 ? kind->name : "", ways[way].name, f->wall, f->cpu,
	       f->peak_kib, kind->figures[0].wall / f->wall);
	fflush(stdout);
}

static int measure_kind(const struct job *job, struct kind *kind)
{
	int rc = kind->warm_up ? measure(job, kind, 0, &kind->figures[0]) : 0;

	for (int way = 0; way < WAYS && rc == 0; way++) {
		rc = measure(job, kind, way, &kind->figures[way]);
		if (rc == 0)
			print_row(kind, way);
		else
			fprintf(stderr, "%s, %s: %s\n", kind->name, ways[way].name, strerror(-rc));
	}
	return rc;
}

static int measure_kinds(const struct job *job, struct kind *kinds)
{
	int rc = 0;

	printf("%-10s %-11s %9s %9s %12s %12s\n", "work", "way", "time s", "CPU s", "peak KiB", "speed-up");
	for (int k = 0; k < KINDS && rc == 0; k++)
		rc = measure_kind(job, &kinds[k]);
	return rc;
}

static int write_json(const char *path, const struct kind *kinds)
{
	FILE *file = fopen(path, "we");
	int rc = 0;

	if (!file)
		return -errno;
	fprintf(file, "[");
	for (int k = 0; k < KINDS; k++) {
		for (int w = 0; w < WAYS; w++) {
			const struct figures *f = &kinds[k].figures[w];

			fprintf(file,
				"%s\n{\"work\":\"%s\",\"way\":\"%s\",\"pieces\":%zu,\"time_s\":%.6f,"
				"\"cpu_s\":%.6f,\"peak_kib\":%ld,\"speed_up\":%.3f}",
				k || w ? "," : "", kinds[k].name, ways[w].name, kinds[k].pieces, f->wall, f->cpu,
				f->peak_kib, kinds[k].figures[0].wall / f->wall);
		}
	}
	fprintf(file, "\n]\n");
	if (ferror(file))
		rc = -EIO;
	if (fclose(file) != 0 && rc == 0)
		rc = -errno;
	return rc;
}

static int compare(const struct job *job, const char *json)
{
	const struct size *s = job->size;
	struct kind kinds[KINDS] = {
		{ .name = "computing", .work = compute, .pieces = s->compute_pieces },
		{ .name = "requests", .work = request, .pieces = s->request_pieces },
		{ .name = "files", .work = files, .pieces = s->file_pieces, .warm_up = true },
	};
	int rc;

	printf("computing: %zu pieces of fib(%u)\n", s->compute_pieces, s->fib_n);
	printf("requests:  %zu pieces of %u over TCP to a process that takes %d ms for each\n", s->request_pieces,
	       s->requests, ANSWER_MS);
	printf("files:     %zu pieces of %u files of %d bytes, written over and read back %u times\n\n", s->file_pieces,
	       s->files, FILE_BYTES, s->passes);
	rc = measure_kinds(job, kinds);
	if (rc == 0 && json)
		rc = write_json(json, kinds);
	return rc;
}

/* ---- the stage: directory and server ---- */

static int make_directory(struct job *job)
{
	const char *base = getenv("TMPDIR");
	int n = snprintf(job->directory, sizeof(job->directory), "%s/cpu_vs_io-XXXXXX", base ? base : "/tmp");

	if (n >= (int)sizeof(job->directory))
		return -ENAMETOOLONG;
	return mkdtemp(job->directory) ? 0 : -errno;
}

/* Not every file need be there: a measurement may have failed. */
static int remove_directory(const struct job *job)
{
	char path[PATH_BYTES + 32];

	for (size_t piece = 0; piece < job->size->file_pieces; piece++) {
		for (unsigned i = 0; i < job->size->files; i++) {
			snprintf(path, sizeof(path), "%s/%zu-%u", job->directory, piece, i);
			if (unlink(path) < 0 && errno != ENOENT)
				return -errno;
		}
	}
	return rmdir(job->directory) < 0 ? -errno : 0;
}

static int run(const struct size *size, const char *json)
{
	static struct job job;
	pid_t server = 0;
	int rc, removed;

	job.size = size;
	rc = make_directory(&job);
	if (rc < 0)
		return rc;
	rc = start_server(&job, &server);
	if (rc == 0) {
		rc = compare(&job, json);
		stop_server(server);
	}
	removed = remove_directory(&job);
	return rc < 0 ? rc : removed;
}

int main(int argc, char **argv)
{
	const struct size *size = &usual_size;
	const char *json = NULL;
	int rc;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--quick") == 0) {
			size = &quick_size;
		} else if (strcmp(argv[i], "--json") == 0 && i + 1 < argc) {
			json = argv[++i];
		} else {
			fprintf(stderr, "usage: %s [--quick] [--json FILE]\n", argv[0]);
			return 2;
		}
	}
	rc = run(size, json);
	if (rc < 0)
		fprintf(stderr, "cpu_vs_io: %s\n", strerror(-rc));
	return rc < 0 || fflush(stdout) != 0 ? 1 : 0;
}
