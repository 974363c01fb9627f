/* SPDX-License-Identifier: MIT */
/*
 * What breaks in a server: no space, no buffers, no descriptors. The caller is told, nothing is lost, and it goes on. Resets,
 * half-closed connections, broken pipes, signals and short transfers are in tcp.c, op.c, fd.c and transfer.c; descriptors
 * that are closed while others wait in close.c; queues that overflow in op_load.c.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/uio.h>

#include "../../io/op.h"
#include "../../runtime/sys_internal.h"
#include "places.h"
#include "plain.h"

static int carry(const struct place *place, struct rota_op *op)
{
	return place->carry(place, &op->future);
}

static void no_space_script(const struct place *place)
{
	struct iovec part = { (void *)"x", 1 };
	struct rota_op op;
	int fd = open("/dev/full", O_RDWR | O_CLOEXEC);

	expect(fd, >=, 0);
	rota_op_write(&op, fd, "x", 1, -1);
	expect(carry(place, &op), ==, -ENOSPC);
	rota_op_writev(&op, fd, &part, 1, -1);
	expect(carry(place, &op), ==, -ENOSPC);
	close(fd);
}

UNIT_TEST(breaks, no_space)
{
	everyhow(no_space_script);
}

/* The file may not grow: what still fits is written, the rest is refused, and the limit says nothing of reading. */
static void too_large_script(const struct place *place)
{
	struct rlimit old, four;
	struct rota_op op;
	char buf[8];
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	expect(getrlimit(RLIMIT_FSIZE, &old), ==, 0);
	four = (struct rlimit){ 4, old.rlim_max };
	expect(setrlimit(RLIMIT_FSIZE, &four), ==, 0);
	rota_op_write(&op, fd, "abcdef", 6, 0);
	expect(carry(place, &op), ==, 4);
	rota_op_write(&op, fd, "ef", 2, 4);
	expect(carry(place, &op), ==, -EFBIG);
	expect(setrlimit(RLIMIT_FSIZE, &old), ==, 0);
	rota_op_read(&op, fd, buf, sizeof(buf), 0);
	expect(carry(place, &op), ==, 4);
	rota_op_write(&op, fd, "ef", 2, 4);
	expect(carry(place, &op), ==, 2);
	close(fd);
}

/* At the descriptor's own position, which goes as far as the bytes that fitted. Else the next write would be over them. */
static void too_large_in_a_row_script(const struct place *place)
{
	struct iovec part = { (void *)"abcdef", 6 };
	struct rota_transfer_op all;
	struct rlimit old, four;
	struct rota_op op;
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	int append = open("/tmp", O_TMPFILE | O_RDWR | O_APPEND | O_CLOEXEC, 0600);

	expect(getrlimit(RLIMIT_FSIZE, &old), ==, 0);
	four = (struct rlimit){ 4, old.rlim_max };
	expect(write(append, "a", 1), ==, 1);
	expect(lseek(append, 0, SEEK_SET), ==, 0);
	expect(setrlimit(RLIMIT_FSIZE, &four), ==, 0);
	rota_op_write(&op, fd, "abcdef", 6, -1);
	expect(carry(place, &op), ==, 4);
	expect(lseek(fd, 0, SEEK_CUR), ==, 4);
	rota_op_write(&op, fd, "ef", 2, -1);
	expect(carry(place, &op), ==, -EFBIG);
	expect(lseek(fd, 1, SEEK_SET), ==, 1);
	rota_op_writev(&op, fd, &part, 1, -1);
	expect(carry(place, &op), ==, 3);
	expect(lseek(fd, 0, SEEK_CUR), ==, 4);
	expect(lseek(fd, 0, SEEK_SET), ==, 0);
	rota_op_write_all(&all, fd, "abcdef", 6);
	expect(place->carry(place, &all.future), ==, -EFBIG);
	expect(all.done, ==, 4);
	rota_op_write(&op, append, "bcdef", 5, -1);
	expect(carry(place, &op), ==, 3);
	expect(lseek(append, 0, SEEK_CUR), ==, 4);
	expect(setrlimit(RLIMIT_FSIZE, &old), ==, 0);
	close(append);
	close(fd);
}

UNIT_TEST(breaks, file_too_large_for_the_rest)
{
	signal(SIGXFSZ, SIG_IGN);
	everyhow(too_large_in_a_row_script);
}

UNIT_TEST(breaks, file_too_large)
{
	signal(SIGXFSZ, SIG_IGN); /* which is the program's to do */
	everyhow(too_large_script);
}

static void no_buffers_script(const struct place *place)
{
	static const int errors[] = { -ENOBUFS, -ENOMEM };
	struct rota_op op;
	char byte = 0;
	int fds[2];

	plain_pair(fds);
	for (int i = 0; i < 2; i++) {
		rota__fault_arm(ROTA__FAULT_OP, 1, errors[i]);
		rota_op_send(&op, fds[1], "a", 1, 0);
		expect(carry(place, &op), ==, errors[i]);
		rota__fault_arm(ROTA__FAULT_OP, 0, 0);
		expect(plain_waiting(fds[0]), ==, 0);
		rota_op_send(&op, fds[1], "a", 1, 0);
		expect(carry(place, &op), ==, 1);
		rota_op_recv(&op, fds[0], &byte, 1, 0);
		expect(carry(place, &op), ==, 1);
	}
	plain_close(fds);
}

UNIT_TEST(breaks, no_buffers)
{
	everyhow(no_buffers_script);
}

/* No descriptor for a connection: it stays in the listener's queue, and who tries again later gets it. */
static void no_descriptor_script(const struct place *place)
{
	struct rlimit old, none;
	struct rota_op op;
	int port;
	int listener = plain_listen(5, &port);
	int peer = plain_connect(port);
	unsigned refused = 0;
	int fd;

	expect(getrlimit(RLIMIT_NOFILE, &old), ==, 0);
	none = (struct rlimit){ (rlim_t)listener, old.rlim_max }; /* the next free number is above */
	expect(setrlimit(RLIMIT_NOFILE, &none), ==, 0);
	do {
		rota_op_accept(&op, listener, NULL, NULL);
		fd = carry(place, &op);
		if (fd < 0) {
			expect(fd, ==, -EMFILE);
			if (++refused == 3)
				expect(setrlimit(RLIMIT_NOFILE, &old), ==, 0);
			rota_sleep(ROTA_MS(1));
		}
	} while (fd < 0);
	expect(refused, ==, 3);
	close(fd);
	close(peer);
	close(listener);
}

UNIT_TEST(breaks, no_descriptor)
{
	everyhow(no_descriptor_script);
}

/* The table of the system is full. */
static void no_file_script(const struct place *place)
{
	struct rota_op op;
	int port;
	int listener = plain_listen(5, &port);
	int peer = plain_connect(port);

	rota__fault_arm(ROTA__FAULT_OP, 1, -ENFILE);
	rota_op_accept(&op, listener, NULL, NULL);
	expect(carry(place, &op), ==, -ENFILE);
	rota__fault_arm(ROTA__FAULT_OP, 0, 0);
	rota_op_accept(&op, listener, NULL, NULL);
	int fd = carry(place, &op);
	expect(fd, >=, 0);
	close(fd);
	close(peer);
	close(listener);
}

UNIT_TEST(breaks, no_file)
{
	everyhow(no_file_script);
}

/* The back end itself cannot wait for it: the operation fails with that, and the next one does not. */
static void no_wait_script(const struct place *place)
{
	struct rota_op op;
	char byte;
	int fds[2];

	if (!unit_on_epoll())
		cr_skip_test("a ring needs nothing to wait");
	plain_pipe(fds);
	rota__fault_arm(ROTA__FAULT_EPOLL, 1, -ENOMEM);
	rota_op_read(&op, fds[0], &byte, 1, -1);
	expect(carry(place, &op), ==, -ENOMEM);
	rota__fault_arm(ROTA__FAULT_EPOLL, 0, 0);
	expect(write(fds[1], "x", 1), ==, 1);
	rota_op_read(&op, fds[0], &byte, 1, -1);
	expect(carry(place, &op), ==, 1);
	plain_close(fds);
}

UNIT_TEST(breaks, no_memory_to_wait)
{
	everyhow_inside(no_wait_script, 0);
}
