/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "sys_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../runtime/atomic_internal.h"
#include "../runtime/sys_internal.h"
#include "../runtime/worker_internal.h"
#include "multishot_internal.h"

#ifndef IORING_ENTER_REGISTERED_RING
#define IORING_ENTER_REGISTERED_RING (1U << 4)
#endif

#define NSEC_PER_SEC 1000000000u
#define KERNEL_THREADS 512u
#define MEMORY_DEVICES 1u /* major number of /dev/null and its like */

int rota__sys_enter(struct io_uring *ring, unsigned submit, unsigned wait, unsigned flags, uint64_t timeout_ns)
{
	const uint64_t ns = rota__sys_wait_at_once(timeout_ns);
	struct __kernel_timespec ts = { (int64_t)(ns / NSEC_PER_SEC), (long long)(ns % NSEC_PER_SEC) };
	struct io_uring_getevents_arg arg = { .ts = ns != UINT64_MAX ? (uintptr_t)&ts : 0 };
	int rc = rota__fault(ROTA__FAULT_ENTER);

	if (rc < 0)
		return rc;
	if (ring->enter_ring_fd != ring->ring_fd)
		flags |= IORING_ENTER_REGISTERED_RING;
	if (wait > 0)
		flags |= IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
	rc = rota__sys_result(syscall(__NR_io_uring_enter, ring->enter_ring_fd, submit, wait, flags,
				      wait > 0 ? &arg : NULL, wait > 0 ? sizeof(arg) : 0));
	return rc == -ETIME ? 0 : rc;
}

void rota__sys_enter_for(struct io_uring *ring, unsigned submit, unsigned flags)
{
	if (rota__fault(ROTA__FAULT_ENTER) < 0)
		return;
	/* By descriptor: the registration is its owner's. What fails is tried again at the next look. */
	syscall(__NR_io_uring_enter, ring->ring_fd, submit, 0, flags, NULL, 0);
}

int rota__sys_cancel_for(struct io_uring *ring, uint64_t user_data, int fd)
{
	struct io_uring_sync_cancel_reg what = {
		.addr = user_data,
		.fd = fd,
		.flags = fd >= 0 ? IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ALL : 0,
	};

	return rota__sys_result(syscall(__NR_io_uring_register, ring->ring_fd, IORING_REGISTER_SYNC_CANCEL, &what, 1));
}

/* By descriptor, as rota__sys_enter_for. */
int rota__sys_register_memory(struct io_uring *ring, const struct iovec *memory)
{
	int rc = rota__fault(ROTA__FAULT_RING);

	if (rc < 0)
		return rc;
	return rota__sys_result(syscall(__NR_io_uring_register, ring->ring_fd, IORING_REGISTER_BUFFERS, memory, 1));
}

void rota__sys_unregister_memory(struct io_uring *ring)
{
	syscall(__NR_io_uring_register, ring->ring_fd, IORING_UNREGISTER_BUFFERS, NULL, 0);
}

/*
 * Names and files are worked on by threads of the kernel's. By itself it makes 4 of them for each CPU, or as many as the
 * ring has entries, and each open of a FIFO keeps one for as long as the other side does not come: then all that is
 * behind them would wait. So it may make as many as a pool has by default.
 */
static void allow_kernel_threads(struct io_uring *ring)
{
	unsigned most[2] = { KERNEL_THREADS, 0 }; /* 0: of the others, which are for sockets, as it is */

	io_uring_register_iowq_max_workers(ring, most); /* may fail: then there are fewer */
}

int rota__sys_ring_init(struct io_uring *ring, unsigned entries, struct io_uring_params *params)
{
	int rc = rota__fault(ROTA__FAULT_RING);

	if (rc == 0)
		rc = io_uring_queue_init_params(entries, ring, params);
	if (rc < 0)
		return rc;
	allow_kernel_threads(ring);
	rota__fence(SEQ_CST); /* see rota__sys_ring_exit */
	ring->ring_fd = ring->enter_ring_fd = rota__sys_above_standard(ring->ring_fd);
	if (ring->ring_fd >= 0)
		return 0;
	rc = ring->ring_fd;
	rota__sys_ring_exit(ring);
	return rc;
}

/* The kernel may give a ring's memory to another thread's next ring. It orders that, but by calls of which the thread
 * sanitizer does not know; the fences tell it. */
void rota__sys_ring_exit(struct io_uring *ring)
{
	rota__fence(SEQ_CST);
	io_uring_queue_exit(ring);
}

/* One bit for each opcode below 64. */
static struct rota_atomic_u64 ring_opcodes;
static struct rota_atomic_u64 hidden_opcodes; /* by a test */

void rota__sys_ring_probe(struct io_uring *ring)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
	uint64_t opcodes = 0;

	if (probe == NULL)
		return;
	for (int opcode = 0; opcode < 64; opcode++)
		opcodes |= (uint64_t)(io_uring_opcode_supported(probe, opcode) != 0) << opcode;
	io_uring_free_probe(probe);
	rota__store(&ring_opcodes, opcodes, RELAXED); /* each probe finds the same; nothing else depends on it */
}

bool rota__sys_ring_has(unsigned opcode)
{
	const uint64_t opcodes = rota__load(&ring_opcodes, RELAXED) & ~rota__load(&hidden_opcodes, RELAXED);

	return opcode < 64 && (opcodes >> opcode & 1) != 0;
}

void rota__sys_ring_hide(uint64_t opcodes)
{
	rota__store(&hidden_opcodes, opcodes, SEQ_CST);
}

bool rota__sys_ring_hides(const struct rota_op *op)
{
	const uint64_t opcodes = rota__load(&hidden_opcodes, RELAXED);
	const unsigned bit = rota__op_is_multishot(op) ? ROTA__RING_MULTISHOT : op->opcode_;

	return __builtin_expect(opcodes != 0, 0) && bit < 64 && (opcodes >> bit & 1) != 0;
}

bool rota__sys_hush(void)
{
	struct rota__worker *worker = rota__worker_self();

	if (worker == NULL)
		return rota__sys_block_sigpipe();
	rota__worker_hush(worker);
	return false;
}

void rota__sys_nudge_threads_register(void)
{
	syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
}

void rota__sys_nudge_threads(void)
{
	syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}

/* fstat, but it waits for no server, whatever file system that is. */
static int ask(int fd, struct statx *ret)
{
	return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_SIZE, ret);
}

/* Of a socket; 0: it is none. */
static int socket_type(int fd)
{
	int type = 0;
	socklen_t len = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 ? type : 0;
}

bool rota__sys_is_connection(int fd)
{
	const int type = socket_type(fd);

	return type == SOCK_STREAM || type == SOCK_SEQPACKET;
}

bool rota__sys_is_stream(int fd)
{
	return socket_type(fd) == SOCK_STREAM;
}

int rota__sys_check_offset(int fd, int64_t offset)
{
	if (offset < -1)
		return -EINVAL;
	return offset == -1 || rota__sys_is_file(fd) ? 0 : -ESPIPE;
}

int64_t rota__sys_position(int fd)
{
	const off_t position = lseek(fd, 0, SEEK_CUR);

	return position >= 0 ? position : -rota__sys_errno();
}

int64_t rota__sys_take_position(int fd, int64_t bytes)
{
	const off_t end = lseek(fd, bytes, SEEK_CUR);

	return end >= 0 ? end - bytes : -rota__sys_errno();
}

void rota__sys_give_back_position(int fd, int64_t end, int64_t bytes, bool at_end)
{
	const int64_t position = lseek(fd, 0, SEEK_CUR);
	struct statx status;

	/* Beyond the end each gives back what was its own, in one step, in whatever order. */
	if (position == end || (at_end && ask(fd, &status) == 0 && position > (int64_t)status.stx_size))
		lseek(fd, -bytes, SEEK_CUR);
}

void rota__sys_move_position(int fd, int64_t from, int count, bool writes)
{
	if (lseek(fd, 0, SEEK_CUR) != from)
		return;
	if (writes && rota__sys_appends(fd))
		lseek(fd, 0, SEEK_END);
	else
		lseek(fd, from + count, SEEK_SET);
}

bool rota__sys_is_file(int fd)
{
	struct statx status;

	return rota__sys_position(fd) != -ESPIPE && (ask(fd, &status) < 0 || (status.stx_mode & S_IFMT) != 0);
}

bool rota__sys_is_directory(int fd)
{
	struct statx status;

	return ask(fd, &status) == 0 && S_ISDIR(status.stx_mode);
}

static int resolver_error(int code)
{
	switch (code) {
	case EAI_AGAIN:
		return -EAGAIN;
	case EAI_MEMORY:
		return -ENOMEM;
	case EAI_SYSTEM:
		return rota__sys_errno() != 0 ? -rota__sys_errno() : -EIO;
	case EAI_NONAME:
	case EAI_NODATA:
	case EAI_ADDRFAMILY:
	case EAI_SERVICE:
		return -ENOENT;
	case EAI_FAIL:
		return -EIO;
	default:
		return -EINVAL;
	}
}

enum rota__sys_kind rota__sys_kind(int fd)
{
	struct statx status;

	if (ask(fd, &status) < 0)
		return ROTA__KIND_NONE;
	if (S_ISCHR(status.stx_mode) && status.stx_rdev_major != MEMORY_DEVICES)
		return ROTA__KIND_DEVICE;
	if (S_ISBLK(status.stx_mode))
		return ROTA__KIND_DIRECT;
	if (S_ISSOCK(status.stx_mode))
		return ROTA__KIND_SOCKET;
	if ((status.stx_mode & S_IFMT) == 0)
		return ROTA__KIND_ANONYMOUS;
	if (!S_ISREG(status.stx_mode))
		return ROTA__KIND_OTHER;
	return (fcntl(fd, F_GETFL) & O_DIRECT) == 0 ? ROTA__KIND_CACHED : ROTA__KIND_DIRECT;
}

int rota__sys_move_nothing(int fd, bool writes)
{
	const struct iovec nothing = { NULL, 0 };

	return rota__sys_result(writes ? writev(fd, &nothing, 1) : readv(fd, &nothing, 1));
}

int rota__sys_read_nothing(int fd)
{
	char none;

	return rota__sys_result(read(fd, &none, 0));
}

bool rota__sys_appends(int fd)
{
	const int flags = fcntl(fd, F_GETFL);

	return flags < 0 || (flags & O_APPEND) != 0;
}

bool rota__sys_has_size(int fd)
{
	struct statx status;

	return ask(fd, &status) == 0 && S_ISREG(status.stx_mode) && status.stx_size > 0;
}

bool rota__sys_is_blocking(int fd)
{
	const int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && (flags & O_NONBLOCK) == 0;
}

int rota__sys_read_cached(int fd, const struct iovec *iov, int iovcnt, off_t offset)
{
	return rota__sys_result(preadv2(fd, iov, iovcnt, offset, RWF_NOWAIT));
}

int rota__sys_resolve(const char *host, const char *port, unsigned flags, struct rota_address *ret, unsigned max)
{
	struct addrinfo hints = { .ai_socktype = flags & ROTA_RESOLVE_DATAGRAM ? SOCK_DGRAM : SOCK_STREAM };
	int rc = rota__fault(ROTA__FAULT_SOCKET);
	struct addrinfo *list;
	unsigned n = 0;

	if (rc < 0)
		return rc;
	if (flags & (ROTA_RESOLVE_IPV4 | ROTA_RESOLVE_IPV6))
		hints.ai_family = flags & ROTA_RESOLVE_IPV4 ? AF_INET : AF_INET6;
	if (flags & ROTA_RESOLVE_PASSIVE)
		hints.ai_flags |= AI_PASSIVE;
	if (flags & ROTA__RESOLVE_NUMERIC)
		hints.ai_flags |= AI_NUMERICHOST | AI_NUMERICSERV;
	rc = getaddrinfo(host, port, &hints, &list);
	if (rc != 0)
		return resolver_error(rc);
	for (const struct addrinfo *at = list; at != NULL && n < max; at = at->ai_next) {
		if (at->ai_addrlen > sizeof(ret[n].addr))
			continue;
		memcpy(&ret[n].addr, at->ai_addr, at->ai_addrlen);
		ret[n++].len = at->ai_addrlen;
	}
	freeaddrinfo(list);
	return n > 0 ? (int)n : -ENOENT;
}
