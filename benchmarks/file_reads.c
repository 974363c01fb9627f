/* SPDX-License-Identifier: MIT */
/*
 * Random reads of 4 KiB from one file. Cached: rota_pread in a fiber, beside plain pread in a loop. With O_DIRECT: 1, 32
 * and 128 fibers that each read one block after the other. They share what there is to read, so that there are as many
 * reads in flight until the last ones, as with fio: who was lucky with the disk does not end before the others. With
 * --registered 1 these read to registered memory, as fio's do with fixedbufs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "measure.h"

enum { BLOCK = 4096, READS = 100, MOST = 128 };
enum { LEAST = 1000 }; /* direct reads at a time: beside so many the start and the end of their fibers do not count */

static struct bench_param params[] = {
	{ "megabytes", 64, 4, "size of the file" },
	{ "registered", 0, 0, "1: what is read to is memory registered with io_uring" },
	{ NULL, 0, 0, NULL },
};

struct library {
	char path[256];
	int cached, direct; /* descriptors; direct -1: the file system has no O_DIRECT */
	uint64_t blocks;
	uint64_t random;
	unsigned depth, reads;  /* direct ones, at a time */
	atomic_int left;        /* reads that nobody has begun */
	unsigned char *buffers; /* MOST blocks */
};

static off_t somewhere(const struct library *l, uint64_t *random)
{
	return (off_t)(bench_random(random) / 2 % l->blocks * BLOCK);
}

/* --- cached ------------------------------------------------------------------------------------------------------- */

static int read_cached(void *arg)
{
	struct library *l = arg;

	for (int i = 0; i < READS; i++) {
		ssize_t n = rota_pread(l->cached, l->buffers, BLOCK, somewhere(l, &l->random));

		if (n != BLOCK)
			return n < 0 ? (int)n : -EIO;
	}
	return 0;
}

static int read_plain(void *arg)
{
	struct library *l = arg;

	for (int i = 0; i < READS; i++) {
		if (pread(l->cached, l->buffers, BLOCK, somewhere(l, &l->random)) != BLOCK)
			return -EIO;
	}
	return 0;
}

static int measure_cached(struct library *l, const char *name, rota_fn *step)
{
	l->random = 1;
	return bench_time_each(name, step, l, READS);
}

/* --- direct ------------------------------------------------------------------------------------------------------- */

struct reader {
	struct library *library;
	rota_task *task;
	unsigned number;
	uint64_t random;
};

static int read_direct(void *arg)
{
	struct reader *reader = arg;
	struct library *l = reader->library;
	unsigned char *buffer = l->buffers + (size_t)reader->number * BLOCK;

	while (atomic_fetch_sub(&l->left, 1) > 0) {
		ssize_t n = rota_pread(l->direct, buffer, BLOCK, somewhere(l, &reader->random));

		if (n != BLOCK)
			return n < 0 ? (int)n : -EIO;
	}
	return 0;
}

static int read_at_depth(void *arg)
{
	struct library *l = arg;
	struct reader readers[MOST];
	unsigned spawned = 0;
	int rc = 0;

	atomic_store(&l->left, (int)l->reads);
	while (spawned < l->depth && rc == 0) {
		struct reader *reader = &readers[spawned];

		*reader = (struct reader){ .library = l, .number = spawned, .random = bench_random(&l->random) };
		rc = rota_spawn(&reader->task, read_direct, reader);
		spawned += rc == 0;
	}
	for (unsigned i = 0; i < spawned; i++) {
		int status = 0, joined = rota_join(readers[i].task, &status);

		joined = joined < 0 ? joined : status;
		rc = rc < 0 ? rc : joined;
	}
	return rc;
}

static int measure_direct(struct library *l, unsigned depth)
{
	char name[32];
	double ns = 0;
	int rc;

	l->depth = depth;
	l->reads = READS * depth > LEAST ? READS * depth : LEAST;
	rc = bench_time(read_at_depth, l, &ns);
	if (rc < 0)
		return rc;
	snprintf(name, sizeof(name), "direct-%u", depth);
	bench_report(name, 1e9 * l->reads / ns, "reads/s");
	return 0;
}

/* --- a round ------------------------------------------------------------------------------------------------------ */

static int inside(void *arg)
{
	static const unsigned depths[] = { 1, 32, MOST };
	struct library *l = arg;
	int rc = measure_cached(l, "cached", read_cached);

	if (rc == 0)
		rc = measure_cached(l, "cached-plain-pread", read_plain);
	if (rc == 0 && bench_param("registered"))
		rc = rota_register_memory(rota_runtime_current(), l->buffers, (size_t)BLOCK * MOST);
	if (l->direct < 0)
		bench_note("no O_DIRECT in this directory: set TMPDIR");
	for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]) && rc == 0 && l->direct >= 0; i++)
		rc = measure_direct(l, depths[i]);
	return rc;
}

static int fill(struct library *l)
{
	memset(l->buffers, 7, BLOCK);
	for (uint64_t i = 0; i < l->blocks; i++) {
		if (write(l->cached, l->buffers, BLOCK) != BLOCK)
			return -EIO;
	}
	return fsync(l->cached) < 0 ? -EIO : 0;
}

static int round_of_reads(void)
{
	struct library l = { .blocks = (bench_param("megabytes") << 20) / BLOCK, .direct = -1 };
	const char *directory = getenv("TMPDIR");
	int rc;

	if (l.blocks == 0)
		return -EINVAL;
	l.buffers = aligned_alloc(BLOCK, (size_t)BLOCK * MOST);
	if (!l.buffers)
		return -ENOMEM;
	snprintf(l.path, sizeof(l.path), "%s/rota-file-reads-XXXXXX", directory ? directory : "/tmp");
	l.cached = mkostemp(l.path, O_CLOEXEC);
	rc = l.cached < 0 ? -errno : fill(&l);
	if (rc == 0) {
		l.direct = open(l.path, O_RDONLY | O_DIRECT | O_CLOEXEC);
		rc = bench_run(inside, &l);
	}
	if (l.cached >= 0) {
		unlink(l.path);
		close(l.cached);
	}
	if (l.direct >= 0)
		close(l.direct);
	free(l.buffers);
	return rc;
}

static const struct bench bench = {
	.name = "file_reads",
	.about = "random reads of 4 KiB: cached, per read; with O_DIRECT, so many at a time",
	.round = round_of_reads,
	.params = params,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
