/* SPDX-License-Identifier: MIT */
/*
 * Memory that is registered for reads and writes of files: they give the same results whether their buffer lies in it, in
 * part, or not; where there are rings the kernel takes the pages that it has pinned; and what fails leaves nothing.
 */
#define _GNU_SOURCE
#include "../../io/file.h"
#include "../../runtime/sys_internal.h"
#include "places.h"
#include "plain.h"

enum { PAGE = 4096, SIZE = 16 * PAGE };

struct shelf {
	unsigned char *memory; /* a page before it, and one behind, too */
	char path[64];
	int fd;
};

/* A file of SIZE bytes, without the page cache where the file system knows how. */
static void shelf_init(struct shelf *shelf)
{
	unsigned char *all = mmap(NULL, SIZE + 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	expect_pointer(all, !=, MAP_FAILED);
	shelf->memory = all + PAGE;
	strcpy(shelf->path, "/tmp/rota-memory-XXXXXX");
	shelf->fd = mkstemp(shelf->path);
	expect(shelf->fd, >=, 0);
	for (int i = 0; i < SIZE; i++)
		all[PAGE + i] = (unsigned char)(i / 16);
	expect(write(shelf->fd, shelf->memory, SIZE), ==, SIZE);
	memset(all, 0, SIZE + 2 * PAGE);
	fcntl(shelf->fd, F_SETFL, O_DIRECT); /* not everywhere */
}

static void shelf_deinit(struct shelf *shelf)
{
	munmap(shelf->memory - PAGE, SIZE + 2 * PAGE);
	close(shelf->fd);
	unlink(shelf->path);
}

static int carry(const struct place *place, struct rota_op *op)
{
	return place->carry(place, &op->future);
}

static void expect_pages(const unsigned char *bytes, int first, int pages)
{
	for (int i = 0; i < pages * PAGE; i += 16)
		expect(bytes[i], ==, (unsigned char)((first * PAGE + i) / 16));
}

static void read_pages(const struct place *place, const struct shelf *shelf, int at, int pages)
{
	unsigned char *to = shelf->memory + (ptrdiff_t)at * PAGE;
	struct rota_op op;

	memset(to, 0xee, (size_t)pages * PAGE);
	rota_op_read(&op, shelf->fd, to, (size_t)pages * PAGE, 3 * PAGE);
	expect(carry(place, &op), ==, pages * PAGE);
	expect_pages(to, 3, pages);
}

static void results_script(const struct place *place)
{
	struct shelf shelf;
	struct rota_op op;

	shelf_init(&shelf);
	expect(rota_register_memory(place->rt, NULL, SIZE), ==, -EINVAL);
	expect(rota_register_memory(place->rt, shelf.memory, 0), ==, -EINVAL);
	expect(rota_register_memory(place->rt, shelf.memory, SIZE), ==, 0);
	expect(rota_register_memory(place->rt, shelf.memory, SIZE), ==, -EBUSY);
	read_pages(place, &shelf, 0, 1);
	read_pages(place, &shelf, 3, 13); /* up to its end */
	read_pages(place, &shelf, 15, 2); /* across that */
	read_pages(place, &shelf, -1, 2);
	read_pages(place, &shelf, 16, 1);                                 /* behind it */
	rota_op_read(&op, shelf.fd, shelf.memory, 2 * PAGE, SIZE - PAGE); /* up to the end of the file */
	expect(carry(place, &op), ==, PAGE);
	rota_op_read(&op, shelf.fd, shelf.memory, PAGE, SIZE);
	expect(carry(place, &op), ==, 0);
	memset(shelf.memory, 0x5a, PAGE);
	rota_op_write(&op, shelf.fd, shelf.memory, PAGE, 5 * PAGE);
	expect(carry(place, &op), ==, PAGE);
	rota_op_read(&op, shelf.fd, shelf.memory + 5 * PAGE, PAGE, 5 * PAGE);
	expect(carry(place, &op), ==, PAGE);
	plain_expect_filled(shelf.memory + 5 * PAGE, 0x5a, PAGE);
	rota_op_read(&op, plain_closed(), shelf.memory, PAGE, -1);
	expect(carry(place, &op), ==, -EBADF);
	shelf_deinit(&shelf);
}

/* Rings count it against a limit that may be small. */
static void skip_where_it_cannot_be(void)
{
	struct rlimit limit;

	if (geteuid() != 0 && getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur < (UNIT_WORKERS + 1) * SIZE * 2)
		cr_skip_test("RLIMIT_MEMLOCK");
}

UNIT_TEST(ring_memory, gives_the_same_results)
{
	skip_where_it_cannot_be();
	everyhow_inside(results_script, 0);
}

/* The program may not touch these pages, so a call by their address fails; what was pinned before takes the bytes. */
static int read_forbidden(const struct place *place, const struct shelf *shelf)
{
	struct rota_op op;
	int rc;

	expect(mprotect(shelf->memory, PAGE, PROT_NONE), ==, 0);
	rota_op_read(&op, shelf->fd, shelf->memory, PAGE, 7 * PAGE);
	rc = carry(place, &op);
	expect(mprotect(shelf->memory, PAGE, PROT_READ | PROT_WRITE), ==, 0);
	return rc;
}

static void pinned_script(const struct place *place)
{
	const bool rings = rota_runtime_backend(place->rt) == ROTA_BACKEND_IO_URING;
	struct shelf shelf;

	unit_no_more_spares(place->rt);
	shelf_init(&shelf);
	expect(read_forbidden(place, &shelf), ==, -EFAULT);
	expect(rota_register_memory(place->rt, shelf.memory, 0), ==, -EINVAL);
	expect(rota_register_memory(place->rt, shelf.memory, ((size_t)1 << 30) + 1), ==, -EINVAL);
	expect(rota_register_memory(place->rt, shelf.memory, SIZE_MAX), ==, -EINVAL);
	expect(rota_register_memory(place->rt, (void *)(uintptr_t)-PAGE, PAGE + 1), ==, -EFAULT);
	for (uint32_t nth = 1; rings && nth <= 2; nth++) { /* of a worker's, the reactor's */
		rota__fault_arm(ROTA__FAULT_RING, nth, -ENOMEM);
		expect(rota_register_memory(place->rt, shelf.memory, SIZE), ==, -ENOMEM);
		expect(read_forbidden(place, &shelf), ==, -EFAULT);
	}
	expect(mprotect(shelf.memory + SIZE, PAGE, PROT_NONE), ==, 0);
	if (rings)
		expect(rota_register_memory(place->rt, shelf.memory, SIZE + PAGE), ==, -EFAULT);
	expect(rota_register_memory(place->rt, shelf.memory, SIZE), ==, 0);
	expect(read_forbidden(place, &shelf), ==, rings ? PAGE : -EFAULT);
	if (rings)
		expect_pages(shelf.memory, 7, 1);
	shelf_deinit(&shelf);
}

UNIT_TEST(ring_memory, is_pinned)
{
	skip_where_it_cannot_be();
	everyhow_inside(pinned_script, 0);
}
