/* SPDX-License-Identifier: MIT */
/*
 * TCP echo with nothing but io_uring: a ring a thread, a receive always pending on each end, sends and receives submitted
 * with the wait for the next completions. See echo_loops.h.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <liburing.h>
#include <sys/socket.h>

#include "echo_loops.h"

enum { ENTRIES = 4096, BATCH = 256 };

const char loop_about[] = "io_uring, single issuer, deferred task work";

/* user_data: the end, and in its lowest bit whether it is a send. */
static const uintptr_t IS_SEND = 1;

int loop_init(struct loop *loop)
{
	(void)loop;
	return 0; /* the ring belongs to the thread that sets it up */
}

int loop_watch(struct loop *loop, struct end *end)
{
	(void)loop;
	(void)end;
	return 0;
}

static struct io_uring_sqe *next_sqe(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	while (sqe == NULL) {
		io_uring_submit(ring);
		sqe = io_uring_get_sqe(ring);
	}
	return sqe;
}

/* Into the first buffer of the end: the second one may still be on its way out. */
static void start_recv(struct io_uring *ring, struct loop *loop, struct end *end)
{
	struct io_uring_sqe *sqe = next_sqe(ring);

	io_uring_prep_recv(sqe, end->fd, end->buffers, loop->bytes, 0);
	io_uring_sqe_set_data64(sqe, (uintptr_t)end);
}

static void start_send(struct io_uring *ring, struct loop *loop, struct end *end, size_t n)
{
	struct io_uring_sqe *sqe = next_sqe(ring);

	io_uring_prep_send(sqe, end->fd, end->buffers + loop->bytes, n, MSG_NOSIGNAL | MSG_WAITALL);
	io_uring_sqe_set_data64(sqe, (uintptr_t)end | IS_SEND);
}

static int complete(struct io_uring *ring, struct loop *loop, const struct io_uring_cqe *cqe)
{
	struct end *end = (struct end *)((uintptr_t)cqe->user_data & ~IS_SEND);
	size_t n = (size_t)cqe->res;

	if (cqe->res <= 0)
		return cqe->res < 0 ? cqe->res : -EPIPE;
	if (cqe->user_data & IS_SEND)
		return 0;
	if (!end->is_client) {
		for (size_t i = 0; i < n; i++)
			end->buffers[loop->bytes + i] = end->buffers[i];
		start_send(ring, loop, end, n);
	} else if (end_has_answer(loop, end, n)) {
		start_send(ring, loop, end, loop->bytes);
	}
	start_recv(ring, loop, end);
	return 0;
}

static int set_up(struct io_uring *ring)
{
	struct io_uring_params best = { .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN };
	struct io_uring_params plain = { 0 };
	int rc = io_uring_queue_init_params(ENTRIES, ring, &best);

	return rc == -EINVAL ? io_uring_queue_init_params(ENTRIES, ring, &plain) : rc;
}

int loop_run(struct loop *loop)
{
	struct __kernel_timespec pause = { .tv_nsec = 100000000 };
	struct io_uring_cqe *cqes[BATCH], *first;
	struct io_uring ring;
	int rc = set_up(&ring);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < loop->end_count; i++) {
		start_recv(&ring, loop, &loop->ends[i]);
		if (loop->ends[i].is_client)
			start_send(&ring, loop, &loop->ends[i], loop->bytes);
	}
	while (rc == 0 && !atomic_load_explicit(loop->stop, memory_order_relaxed)) {
		int waited = io_uring_submit_and_wait_timeout(&ring, &first, 1, &pause, NULL);
		unsigned n;

		if (waited < 0 && waited != -ETIME && waited != -EINTR)
			rc = waited;
		n = io_uring_peek_batch_cqe(&ring, cqes, BATCH);
		for (unsigned i = 0; i < n && rc == 0; i++)
			rc = complete(&ring, loop, cqes[i]);
		io_uring_cq_advance(&ring, n);
	}
	io_uring_queue_exit(&ring);
	return rc;
}
