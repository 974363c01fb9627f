/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "cached_internal.h"

#include <errno.h>
#include <sys/uio.h>

#include "../runtime/runtime_internal.h"
#include "fd_hint_internal.h"
#include "sys_internal.h"

/* One of the task's turns, if it has one to spare. Plain threads keep nobody waiting. */
static bool spend(void)
{
	struct rota__worker *worker = rota__worker_self();

	if (worker == NULL)
		return true;
	if (worker->budget <= 1)
		return false;
	worker->budget--;
	return true;
}

/* It has no such reads, or the number means something else by now. What it is else is known before it is no longer CACHED. */
static void try_no_more(int fd)
{
	const enum rota__sys_kind kind = rota__sys_kind(fd);

	rota__fd_hint(&rota__fd_direct, fd, kind == ROTA__KIND_CACHED || kind == ROTA__KIND_DIRECT);
	rota__fd_hint(&rota__fd_devices, fd, kind == ROTA__KIND_DEVICE);
	rota__fd_hint(&rota__fd_cached, fd, false);
}

static ssize_t try_read(struct rota_op *op, const struct iovec *iov, int iovcnt)
{
	int n = rota__sys_read_cached(op->fd_, iov, iovcnt, (off_t)op->offset_);

	if (n == -EOPNOTSUPP)
		try_no_more(op->fd_);
	return n;
}

/* Whether a short count is not all. Were the number no file's any more, the rest could be long in coming. */
static bool goes_on(const struct rota_op *op)
{
	bool cached = op->offset_ != UINT64_MAX || rota__sys_kind(op->fd_) == ROTA__KIND_CACHED;

	if (!cached)
		try_no_more(op->fd_);
	return cached;
}

/* A short count may be the end of the file, or of what the cache has: who reads files expects to be given all. */
static bool read_one(struct rota_op *op)
{
	for (;;) {
		const struct iovec iov = { (void *)(uintptr_t)op->addr_, op->len_ };
		ssize_t n = try_read(op, &iov, 1);

		if (n < 0)
			return false;
		op->moved_ += (uint32_t)n;
		if (n == 0 || n == (ssize_t)op->len_ || !goes_on(op))
			break;
		op->addr_ += (uint64_t)n;
		op->len_ -= (uint32_t)n;
		if (op->offset_ != UINT64_MAX)
			op->offset_ += (uint64_t)n;
	}
	op->future.status = (int)op->moved_;
	return true;
}

/* All of it, or nothing: then the ring reads it anew. So not at the descriptor's own position, which would have moved. */
static bool read_vector(struct rota_op *op)
{
	const struct iovec *iov = (const struct iovec *)(uintptr_t)op->addr_;
	size_t total = 0;

	if (op->offset_ == UINT64_MAX)
		return false;
	for (uint32_t i = 0; i < op->len_; i++) {
		if (iov[i].iov_len > ROTA__CACHED_MAX - total)
			return false;
		total += iov[i].iov_len;
	}
	op->future.status = (int)try_read(op, iov, (int)op->len_);
	if (op->future.status == (int)total)
		return true;
	op->future.status = 0;
	return false;
}

bool rota__cached_read(struct rota_op *op)
{
	if (op->len_ == 0 || !rota__fd_is(&rota__fd_cached, op->fd_))
		return false;
	if (op->opcode_ == IORING_OP_READ && op->len_ > ROTA__CACHED_MAX) {
		if (op->len_ >= ROTA__CACHED_ELSEWHERE)
			op->entry_flags_ |= IOSQE_ASYNC;
		return false;
	}
	if (!spend())
		return false;
	return op->opcode_ == IORING_OP_READ ? read_one(op) : read_vector(op);
}
