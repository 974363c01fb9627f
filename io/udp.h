/* SPDX-License-Identifier: MIT */
/*
 * UDP: sockets, batches of datagrams, segmentation by the kernel, multicast. Single datagrams: rota_send and rota_recv on
 * connected sockets (tcp.h), rota_sendto and rota_recvfrom (socket.h). Who may call, and what cancellation does: fd.h.
 */
#ifndef ROTA_IO_UDP_H
#define ROTA_IO_UDP_H

#include "op.h"
#include "resolve.h"

ROTA_BEGIN_DECLS

/* All zero, or NULL in its place: the defaults. */
struct rota_udp_options {
	bool reuse_address;              /* SO_REUSEADDR: several sockets hear a multicast group */
	bool reuse_port;                 /* SO_REUSEPORT: the kernel shares datagrams out */
	bool v6only;                     /* IPv6 sockets take no IPv4; default: what the system says */
	bool broadcast;                  /* SO_BROADCAST */
	bool gro;                        /* UDP_GRO: datagrams of one sender may come as one; see rota_datagram */
	int send_buffer, receive_buffer; /* bytes, which the kernel doubles; 0: what the system says */
};

/*
 * A socket that is bound to host:port, or connected to it: the first address of the name that works. host NULL: every
 * address, or the loopback. Resolves as rota_resolve does. Close-on-exec. Returns the descriptor. An option that the
 * kernel refuses is the call's error; more errors: rota_tcp_listen.
 */
ROTA_API int rota_udp_bind(const char *host, const char *port, const struct rota_udp_options *options) ROTA_MUST_USE;
ROTA_API int rota_udp_connect(const char *host, const char *port, const struct rota_udp_options *options) ROTA_MUST_USE;

/* The same as futures: status is the descriptor. host, port and options must stay in place until ready. */
struct rota_udp_op {
	struct rota_future future;
	/* private */
	const struct rota_udp_options *options_;
	bool connects_;
	struct rota_resolve_op resolve_;
	struct rota_address addresses_[ROTA_RESOLVE_MAX];
};
ROTA_API void rota_op_udp_bind(struct rota_udp_op *op, const char *host, const char *port,
			       const struct rota_udp_options *options);
ROTA_API void rota_op_udp_connect(struct rota_udp_op *op, const char *host, const char *port,
				  const struct rota_udp_options *options);

/* One of a batch: a datagram; or several of one length (the last may be shorter), which the kernel cuts and joins. */
struct rota_datagram {
	void *data;
	size_t size;                 /* room at data, for a receive */
	size_t len;                  /* bytes to send; bytes received, at most size */
	struct rota_address address; /* to, len 0: the peer of a connected socket; from */
	uint16_t segment; /* cut into datagrams of this length (UDP_SEGMENT); joined from such (gro); 0: one */
	bool truncated;   /* received: it was longer than size */
};

/*
 * Sends n datagrams, waiting while the socket's buffer is full, and returns n; fewer when something went wrong on the
 * way; a negative errno when the first failed. -EINVAL: n is 0, or datagrams NULL. 16 go to the kernel in one system call.
 */
ROTA_API int rota_udp_send(int fd, struct rota_datagram *datagrams, unsigned n) ROTA_MUST_USE;

/* Waits for a datagram, takes those that are there, at most n, and returns how many. -EINVAL as above. */
ROTA_API int rota_udp_recv(int fd, struct rota_datagram *datagrams, unsigned n) ROTA_MUST_USE;

/* The same as futures. datagrams and what they point to must stay in place until ready. */
struct rota_udp_batch_op {
	struct rota_future future;
	/* private */
	struct rota_datagram *datagrams_;
	unsigned n_, done_;
	int fd_;
	bool sends_, waits_, cancelled_, begun_;
	uint16_t closes_;
	struct rota_op op_;
};
ROTA_API void rota_op_udp_send(struct rota_udp_batch_op *op, int fd, struct rota_datagram *datagrams, unsigned n);
ROTA_API void rota_op_udp_recv(struct rota_udp_batch_op *op, int fd, struct rota_datagram *datagrams, unsigned n);

/*
 * Multicast, for IPv4 and IPv6 alike. Never wait. interface: a name such as "eth0", or NULL: what the system chooses;
 * -ENODEV: there is none of that name. The other errors are those of setsockopt(2). A socket that is bound to any address
 * also receives from groups that other sockets of this host have joined: see IP_MULTICAST_ALL in ip(7).
 */
ROTA_API int rota_udp_join(int fd, const struct rota_address *group, const char *interface);
ROTA_API int rota_udp_leave(int fd, const struct rota_address *group, const char *interface);

/* The same for what one source sends to the group; several sources may be joined, each by a call. Ports do not matter. */
ROTA_API int rota_udp_join_source(int fd, const struct rota_address *group, const struct rota_address *source,
				  const char *interface);
ROTA_API int rota_udp_leave_source(int fd, const struct rota_address *group, const struct rota_address *source,
				   const char *interface);

/* Of what the socket sends to groups: how far it goes (0 to 255, default 1), whether sockets of this host hear it too
 * (default: yes), and where it leaves. */
ROTA_API int rota_udp_multicast_ttl(int fd, int ttl);
ROTA_API int rota_udp_multicast_loop(int fd, bool on);
ROTA_API int rota_udp_multicast_interface(int fd, const char *interface);

ROTA_END_DECLS

#endif
