/* SPDX-License-Identifier: MIT */
/* UDP's part of the seam: sockets, batches, multicast. */
#define _GNU_SOURCE
#include <errno.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#include "../runtime/sys_internal.h"
#include "sys_net_internal.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define BATCH 16u

int rota__sys_udp_socket(const struct rota_address *address, const struct rota_udp_options *o, bool connects)
{
	const int family = address->addr.any.sa_family;
	int fd = rota__sys_socket(family, SOCK_DGRAM);
	int rc = 0;

	if (fd < 0)
		return fd;
	rota__sys_option(&rc, fd, SOL_SOCKET, SO_REUSEADDR, o->reuse_address);
	rota__sys_option(&rc, fd, SOL_SOCKET, SO_REUSEPORT, o->reuse_port);
	rota__sys_option(&rc, fd, SOL_SOCKET, SO_BROADCAST, o->broadcast);
	rota__sys_option(&rc, fd, SOL_SOCKET, SO_SNDBUF, o->send_buffer);
	rota__sys_option(&rc, fd, SOL_SOCKET, SO_RCVBUF, o->receive_buffer);
	rota__sys_option(&rc, fd, IPPROTO_UDP, UDP_GRO, o->gro);
	if (family == AF_INET6)
		rota__sys_option(&rc, fd, IPPROTO_IPV6, IPV6_V6ONLY, o->v6only);
	if (rc == 0)
		rc = rota__sys_result(connects ? connect(fd, &address->addr.any, address->len)
					       : bind(fd, &address->addr.any, address->len));
	return rota__sys_or_close(fd, rc);
}

/* --- batches -------------------------------------------------------------------------------------------------------- */

/* What one batch needs besides the datagrams. */
struct batch {
	struct mmsghdr messages[BATCH];
	struct iovec parts[BATCH];
	union {
		struct cmsghdr header; /* aligns it */
		unsigned char bytes[CMSG_SPACE(sizeof(int))];
	} controls[BATCH];
};

/* How many of the datagrams are in it. */
static unsigned fill_batch(struct batch *batch, struct rota_datagram *datagrams, unsigned n, bool sends)
{
	unsigned count = n < BATCH ? n : BATCH;

	for (unsigned i = 0; i < count; i++) {
		struct rota_datagram *at = &datagrams[i];
		const bool named = !sends || at->address.len > 0;

		batch->parts[i] = (struct iovec){ at->data, sends ? at->len : at->size };
		batch->messages[i].msg_len = 0;
		batch->messages[i].msg_hdr = (struct msghdr){
			.msg_name = named ? &at->address.addr : NULL,
			.msg_namelen = sends ? at->address.len : sizeof(at->address.addr),
			.msg_iov = &batch->parts[i],
			.msg_iovlen = 1,
			.msg_control = sends ? NULL : &batch->controls[i],
			.msg_controllen = sends ? 0 : sizeof(batch->controls[i]),
		};
	}
	return count;
}

static void put_segment(struct batch *batch, unsigned i, uint16_t segment)
{
	struct msghdr *message = &batch->messages[i].msg_hdr;
	struct cmsghdr *header = &batch->controls[i].header;

	memset(&batch->controls[i], 0, sizeof(batch->controls[i]));
	message->msg_control = header;
	message->msg_controllen = CMSG_SPACE(sizeof(segment));
	header->cmsg_level = IPPROTO_UDP;
	header->cmsg_type = UDP_SEGMENT;
	header->cmsg_len = CMSG_LEN(sizeof(segment));
	memcpy(CMSG_DATA(header), &segment, sizeof(segment));
}

/* Several datagrams that came as one: their length; 0: it is one. */
static uint16_t get_segment(struct msghdr *message)
{
	for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at != NULL; at = CMSG_NXTHDR(message, at)) {
		int segment;

		if (at->cmsg_level != IPPROTO_UDP || at->cmsg_type != UDP_GRO)
			continue;
		memcpy(&segment, CMSG_DATA(at), sizeof(segment));
		return (uint16_t)segment;
	}
	return 0;
}

int rota__sys_udp_send(int fd, struct rota_datagram *datagrams, unsigned n)
{
	struct batch batch;
	unsigned count = fill_batch(&batch, datagrams, n, true);
	int rc;

	for (unsigned i = 0; i < count; i++) {
		if (datagrams[i].segment > 0)
			put_segment(&batch, i, datagrams[i].segment);
	}
	do {
		rc = rota__sys_result(sendmmsg(fd, batch.messages, count, MSG_DONTWAIT | MSG_NOSIGNAL));
	} while (rc == -EINTR);
	return rc;
}

int rota__sys_udp_recv(int fd, struct rota_datagram *datagrams, unsigned n)
{
	struct batch batch;
	unsigned count = fill_batch(&batch, datagrams, n, false);
	int rc;

	do {
		rc = rota__sys_result(recvmmsg(fd, batch.messages, count, MSG_DONTWAIT, NULL));
	} while (rc == -EINTR);
	for (int i = 0; i < rc; i++) {
		struct msghdr *message = &batch.messages[i].msg_hdr;

		datagrams[i].len = batch.messages[i].msg_len;
		datagrams[i].address.len = message->msg_namelen;
		datagrams[i].segment = get_segment(message);
		datagrams[i].truncated = (message->msg_flags & MSG_TRUNC) != 0;
	}
	return rc;
}

/* --- multicast ------------------------------------------------------------------------------------------------------ */

/* NULL: 0, which is no interface's. */
static int interface_index(const char *interface)
{
	unsigned index;

	if (interface == NULL)
		return 0;
	index = if_nametoindex(interface);
	return index > 0 ? (int)index : -rota__sys_errno();
}

static int family_of(int fd)
{
	int family = 0;
	socklen_t len = sizeof(family);
	int rc = rota__sys_result(getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len));

	return rc < 0 ? rc : family;
}

static int level_of(const struct rota_address *group)
{
	return group->addr.any.sa_family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP;
}

int rota__sys_multicast_member(int fd, const struct rota_address *group, const char *interface, bool joins)
{
	struct group_req request = { .gr_interface = 0 };
	int index = interface_index(interface);

	if (index < 0)
		return index;
	if (group->len > sizeof(group->addr))
		return -EINVAL;
	request.gr_interface = (uint32_t)index;
	memcpy(&request.gr_group, &group->addr, group->len);
	return rota__sys_result(setsockopt(fd, level_of(group), joins ? MCAST_JOIN_GROUP : MCAST_LEAVE_GROUP, &request,
					   sizeof(request)));
}

int rota__sys_multicast_source(int fd, const struct rota_address *group, const struct rota_address *source,
			       const char *interface, bool joins)
{
	struct group_source_req request = { .gsr_interface = 0 };
	const int what = joins ? MCAST_JOIN_SOURCE_GROUP : MCAST_LEAVE_SOURCE_GROUP;
	int index = interface_index(interface);

	if (index < 0)
		return index;
	if (group->len > sizeof(group->addr) || source->len > sizeof(source->addr))
		return -EINVAL;
	request.gsr_interface = (uint32_t)index;
	memcpy(&request.gsr_group, &group->addr, group->len);
	memcpy(&request.gsr_source, &source->addr, source->len);
	return rota__sys_result(setsockopt(fd, level_of(group), what, &request, sizeof(request)));
}

/* The option of whichever family the socket is. */
static int set_for_family(int fd, int v4, int v6, int value)
{
	int family = family_of(fd);

	if (family == AF_INET)
		return rota__sys_result(setsockopt(fd, IPPROTO_IP, v4, &value, sizeof(value)));
	if (family == AF_INET6)
		return rota__sys_result(setsockopt(fd, IPPROTO_IPV6, v6, &value, sizeof(value)));
	return family < 0 ? family : -EAFNOSUPPORT;
}

int rota__sys_multicast_ttl(int fd, int ttl)
{
	if (ttl < 0)
		return -EINVAL; /* the kernel would take -1 for the default */
	return set_for_family(fd, IP_MULTICAST_TTL, IPV6_MULTICAST_HOPS, ttl);
}

int rota__sys_multicast_loop(int fd, bool on)
{
	return set_for_family(fd, IP_MULTICAST_LOOP, IPV6_MULTICAST_LOOP, on);
}

int rota__sys_multicast_interface(int fd, const char *interface)
{
	struct ip_mreqn request = { .imr_ifindex = interface_index(interface) };
	int family = family_of(fd);

	if (request.imr_ifindex < 0)
		return request.imr_ifindex;
	if (family == AF_INET)
		return rota__sys_result(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof(request)));
	return set_for_family(fd, 0, IPV6_MULTICAST_IF, request.imr_ifindex);
}
