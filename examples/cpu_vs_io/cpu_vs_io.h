/* SPDX-License-Identifier: MIT */
/* What the files of cpu_vs_io share; main.c says what it is about. */
#ifndef EXAMPLES_CPU_VS_IO_H
#define EXAMPLES_CPU_VS_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <rota.h>

enum {
	KINDS = 3,
	WAYS = 6,
	REQUEST_BYTES = 64,
	FILE_BYTES = 4 * 1024,
	ANSWER_MS = 20,
	POOL_THREADS = 8,
	PATH_BYTES = 4096
};

/* How much work. */
struct size {
	size_t compute_pieces, request_pieces, file_pieces;
	unsigned fib_n;
	unsigned requests; /* of a piece, one after the other on one connection */
	unsigned files;    /* of a piece */
	unsigned passes;   /* over its files */
};

/* What all pieces share. */
struct job {
	const struct size *size;
	char port[16];              /* of the server */
	char directory[PATH_BYTES]; /* for the files */
};

struct piece {
	const struct job *job;
	rota_fn *work;
	size_t number;
	int status;
};

struct pieces {
	struct piece *each;
	size_t count;
	long processes_kib; /* memory of the processes that did them, together; 0: there were none */
};

/* --- work.c: what a piece does. By a task, a plain thread or a process. --- */

int work_compute(void *piece);
int work_request(void *piece);
int work_files(void *piece);

/* All `len` bytes written, or an error. */
int write_whole(int fd, const unsigned char *bytes, size_t len);
/* All `len` bytes read, or an error; -EPIPE: the end came first. */
int read_whole(int fd, unsigned char *bytes, size_t len);
/* The path of a piece's file. */
void file_path(const struct job *job, size_t piece, unsigned number, char path[PATH_BYTES + 32]);

/* --- ways.c: how the pieces are done --- */

struct way {
	const char *name;
	int (*run)(struct pieces *pieces);
};
extern const struct way ways[WAYS]; /* the first is the one to compare with */

/* --- server.c: who answers the requests, in a process of its own --- */

int server_start(struct job *job, pid_t *ret_pid);
void server_stop(pid_t pid);

/* --- measure.c: one way with one kind of work, in a process of its own --- */

struct figures {
	double wall, cpu; /* seconds */
	long peak_kib, switches;
};

struct kind {
	const char *name;
	rota_fn *work;
	size_t pieces;
	bool warm_up; /* one run more: the first makes the files, and pays for the kernel's memory of them */
	struct figures figures[WAYS];
};

int measure(const struct job *job, const struct kind *kind, const struct way *way, struct figures *ret);

/* From now on SIGINT and SIGTERM make measure return -EINTR. */
void measure_until_told(void);
/* In a child: they end it, as does the end of its parent. */
void measure_be_child(void);

/* --- report.c: the table and the JSON; picture.c: the picture, by gnuplot --- */

void report_head(FILE *file, const struct size *size);
void report_row(FILE *file, const struct kind *kind, int way);
int report_json(const char *path, const struct kind *kinds);

/* -ENOENT: there is no gnuplot. */
int picture_draw(const char *path, const struct kind *kinds);

#endif
