/* SPDX-License-Identifier: MIT */
/*
 * Names to addresses. Numbers are read in place. A name is asked of getaddrinfo(3), which blocks, on a thread of the
 * resolver's lane: at most four threads of the process, apart from the blocking pool, so that a resolver that is stuck
 * delays neither files nor jobs. Who asks for what is being asked already shares that question's answer. A caller that
 * is cancelled goes on at once, and the answer is dropped when nobody waits for it any more. A thread that is stuck in
 * getaddrinfo holds up neither rota_runtime_shutdown nor the end of the process.
 */
#ifndef ROTA_IO_RESOLVE_H
#define ROTA_IO_RESOLVE_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "../runtime/future.h"
#include "../runtime/waitlist.h"

ROTA_BEGIN_DECLS

#define ROTA_RESOLVE_MAX 16 /* addresses of one name that are kept */

/* `len` bytes of `addr` are what connect(2) and bind(2) take. */
struct rota_address {
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} addr;
	socklen_t len;
};

enum rota_resolve_flags {
	ROTA_RESOLVE_PASSIVE = 1,  /* addresses to bind to: host NULL is every address, not the loopback */
	ROTA_RESOLVE_DATAGRAM = 2, /* service names of UDP, not of TCP */
	ROTA_RESOLVE_IPV4 = 4,     /* this family only */
	ROTA_RESOLVE_IPV6 = 8,
};

/*
 * Writes up to `max` addresses (of which there are at most ROTA_RESOLVE_MAX) to `ret`, in the order in which they should
 * be tried, and returns how many. port: a number or the name of a service; NULL: the port in the addresses is 0. Waits,
 * from a fiber, a blocking job or any plain thread. -EINVAL: max 0, both families, neither host nor port, or a name
 * above 1024 characters. -ENOENT: no such host or service. -EAGAIN: a failure that may pass, or no thread can be had.
 * -ENOMEM. -EIO: a failure that will not pass. -ECANCELED.
 */
ROTA_API int rota_resolve(const char *host, const char *port, unsigned flags, struct rota_address *ret,
			  unsigned max) ROTA_MUST_USE;

/* The same as a future. host, port and ret must stay in place until it is ready; ret is written just before. */
struct rota_resolve_op {
	struct rota_future future;
	/* private */
	const char *host_, *port_;
	struct rota_address *ret_;
	unsigned max_, flags_;
	void *question_;
	struct rota_waiter waiter_;
	uint16_t port_number_;
	bool cancelled_;
};
ROTA_API void rota_op_resolve(struct rota_resolve_op *op, const char *host, const char *port, unsigned flags,
			      struct rota_address *ret, unsigned max);

ROTA_END_DECLS

#endif
