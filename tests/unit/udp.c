/* SPDX-License-Identifier: MIT */
/*
 * Datagrams: bound and connected, single and in batches, too long for their buffers, cut and joined by the kernel, to
 * groups; from every place that a call may come from, and cancelled.
 */
#define _GNU_SOURCE
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/udp.h>

#include "../../io/socket.h"
#include "../../io/tcp.h"
#include "../../io/udp.h"
#include "../../runtime/sys_internal.h"
#include "places.h"
#include "plain.h"

static const char *port_text(int port)
{
	static char text[16];

	snprintf(text, sizeof(text), "%d", port);
	return text;
}

static struct rota_address local_address(int fd)
{
	struct rota_address address = { .len = sizeof(address.addr) };

	expect(getsockname(fd, &address.addr.any, &address.len), ==, 0);
	return address;
}

static int bind_to(const struct place *place, const char *host, const struct rota_udp_options *options)
{
	struct rota_udp_op op;

	rota_op_udp_bind(&op, host, "0", options);
	int fd = place->carry(place, &op.future);
	expect(fd, >=, 0);
	return fd;
}

static int connect_to(const struct place *place, const char *host, int to)
{
	struct rota_udp_op op;

	rota_op_udp_connect(&op, host, port_text(rota_local_port(to)), NULL);
	int fd = place->carry(place, &op.future);
	expect(fd, >=, 0);
	return fd;
}

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	expect(getsockopt(fd, level, name, &value, &len), ==, 0);
	return value;
}

/* --- single datagrams --------------------------------------------------------------------------------------------------- */

static void single(const struct place *place, const char *host)
{
	int server = bind_to(place, host, NULL);
	int client = connect_to(place, host, server);
	struct rota_address from = { .len = sizeof(from.addr) };
	const struct rota_address client_address = local_address(client);
	struct rota_message_op message;
	struct rota_op op;
	char buf[16];

	expect(fcntl(server, F_GETFD), ==, FD_CLOEXEC);
	expect(fcntl(client, F_GETFD), ==, FD_CLOEXEC);
	rota_op_send(&op, client, "question", 8, 0);
	expect(place->carry(place, &op.future), ==, 8);
	rota_op_recvfrom(&message, server, buf, sizeof(buf), 0, &from.addr.any, &from.len);
	expect(place->carry(place, &message.future), ==, 8);
	expect(from.len, ==, client_address.len);
	plain_expect_bytes(&from.addr, &client_address.addr, from.len);
	rota_op_sendto(&message, server, "answer", 6, 0, &from.addr.any, from.len);
	expect(place->carry(place, &message.future), ==, 6);
	rota_op_recv(&op, client, buf, 3, MSG_PEEK);
	expect(place->carry(place, &op.future), ==, 3);
	/* How long it was, though there was no room. */
	rota_op_recvfrom(&message, client, buf, 3, MSG_TRUNC, NULL, NULL);
	expect(place->carry(place, &message.future), ==, 6);
	plain_expect_bytes(buf, "ans", 3);
	rota_op_recvfrom(&message, client, buf, 3, MSG_DONTWAIT, NULL, NULL);
	expect(place->carry(place, &message.future), ==, -EAGAIN);
	rota_op_recvfrom(&message, client, buf, 3, 0, &from.addr.any, NULL);
	expect(place->carry(place, &message.future), ==, -EINVAL);
	rota_op_send(&op, client, "", 0, 0); /* an empty one is one */
	expect(place->carry(place, &op.future), ==, 0);
	rota_op_recvfrom(&message, server, buf, 3, 0, NULL, NULL);
	expect(place->carry(place, &message.future), ==, 0);
	close(server);
	/* The answer to this is that there is nobody. */
	rota_op_send(&op, client, "x", 1, 0);
	expect(place->carry(place, &op.future), ==, 1);
	rota_op_recv(&op, client, buf, 1, 0);
	expect(place->carry(place, &op.future), ==, -ECONNREFUSED);
	close(client);
}

static void single_script(const struct place *place)
{
	single(place, "127.0.0.1");
}

UNIT_TEST(udp, single)
{
	everyhow(single_script);
}

static void single6_script(const struct place *place)
{
	single(place, "::1");
}

static bool has_v6(void)
{
	const struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);
	bool has = fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;

	if (fd >= 0)
		close(fd);
	return has;
}

UNIT_TEST(udp, single_v6)
{
	if (has_v6())
		everyhow(single6_script);
	else
		cr_skip("no IPv6 here");
}

static void late_sender(void *arg)
{
	expect(send(*(int *)arg, "late", 4, 0), ==, 4);
}

static void calls_script(const struct place *place)
{
	const struct rota_udp_options options = { .reuse_port = true, .receive_buffer = 30000, .broadcast = true };
	struct rota_address from = { .len = sizeof(from.addr) };
	struct rota_datagram datagram = { 0 };
	struct party party;
	int value = 0;
	socklen_t len = sizeof(value);
	char buf[16];

	(void)place;
	int server = rota_udp_bind("127.0.0.1", "0", &options);
	expect(server, >=, 0);
	expect(getsockopt(server, SOL_SOCKET, SO_RCVBUF, &value, &len), ==, 0);
	expect(value, ==, 60000);
	int twin = rota_udp_bind("127.0.0.1", port_text(rota_local_port(server)), &options);
	expect(twin, >=, 0);
	close(twin);
	expect(rota_udp_bind("127.0.0.1", port_text(rota_local_port(server)), NULL), ==, -EADDRINUSE);
	expect(rota_udp_bind("192.0.2.1", "0", NULL), ==, -EADDRNOTAVAIL);
	expect(rota_udp_bind("127.0.0.1", NULL, NULL), ==, -EINVAL);
	int client = rota_udp_connect("127.0.0.1", port_text(rota_local_port(server)), NULL);
	expect(client, >=, 0);
	party_start(&party, late_sender, &client);
	party_go(&party);
	expect(rota_recvfrom(server, buf, sizeof(buf), 0, &from.addr.any, &from.len), ==, 4);
	party_join(&party);
	expect(rota_sendto(server, "a", 1, 0, &from.addr.any, from.len), ==, 1);
	expect(rota_recv(client, buf, sizeof(buf), 0), ==, 1);
	party_start(&party, late_sender, &client);
	party_go(&party);
	datagram = (struct rota_datagram){ .data = buf, .size = sizeof(buf) };
	expect(rota_udp_recv(server, &datagram, 1), ==, 1);
	party_join(&party);
	expect(datagram.len, ==, 4);
	expect(rota_udp_recv(plain_closed(), &datagram, 1), ==, -EBADF);
	expect(rota_udp_send(client, &datagram, 0), ==, -EINVAL);
	expect(rota_udp_recv(client, &datagram, 0), ==, -EINVAL);
	expect(rota_udp_send(client, NULL, 1), ==, -EINVAL);
	expect(rota_udp_recv(client, NULL, 1), ==, -EINVAL);
	rota__fault_arm(ROTA__FAULT_SOCKET, 2, -EMFILE); /* the first is the resolver's */
	expect(rota_udp_bind("127.0.0.1", "0", NULL), ==, -EMFILE);
	close(client);
	close(server);
}

UNIT_TEST(udp, calls)
{
	everywhere(calls_script);
}

/* --- options -------------------------------------------------------------------------------------------------------------- */

static void expect_options(int fd, const struct rota_udp_options *options)
{
	expect(fd, >=, 0);
	expect(option(fd, SOL_SOCKET, SO_REUSEADDR), ==, options->reuse_address);
	expect(option(fd, SOL_SOCKET, SO_REUSEPORT), ==, options->reuse_port);
	expect(option(fd, SOL_SOCKET, SO_BROADCAST), ==, options->broadcast);
	if (options->send_buffer > 0)
		expect(option(fd, SOL_SOCKET, SO_SNDBUF), ==, 2 * options->send_buffer);
	if (options->receive_buffer > 0)
		expect(option(fd, SOL_SOCKET, SO_RCVBUF), ==, 2 * options->receive_buffer);
	if (options->v6only)
		expect(option(fd, IPPROTO_IPV6, IPV6_V6ONLY), ==, 1);
	close(fd);
}

/* Of sockets that are bound, and of those that are connected. */
static void options_script(const struct place *place)
{
	static const struct rota_udp_options options[] = {
		{ .reuse_address = false }, { .reuse_address = true },   { .reuse_port = true }, { .broadcast = true },
		{ .send_buffer = 20000 },   { .receive_buffer = 30000 }, { .v6only = true },
	};

	for (unsigned i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		const char *host = options[i].v6only ? "::1" : "127.0.0.1";
		struct rota_udp_op op;

		if (options[i].v6only && !has_v6())
			continue;
		rota_op_udp_bind(&op, host, "0", &options[i]);
		expect_options(place->carry(place, &op.future), &options[i]);
		rota_op_udp_connect(&op, host, "9", &options[i]);
		expect_options(place->carry(place, &op.future), &options[i]);
	}
}

UNIT_TEST(udp, options)
{
	everyhow(options_script);
}

/* What the kernel refuses is not passed over. */
static void bad_options_script(const struct place *place)
{
	const struct rota_udp_options options[] = { { .send_buffer = -1 }, { .receive_buffer = -1 } };
	struct rota_udp_op op;

	for (int i = 0; i < 2; i++) {
		rota_op_udp_bind(&op, "127.0.0.1", "0", &options[i]);
		expect(place->carry(place, &op.future), ==, -EINVAL);
	}
}

UNIT_TEST(udp, bad_options)
{
	everyhow(bad_options_script);
}

/* --- batches -------------------------------------------------------------------------------------------------------------- */

enum { MANY = 40, SIZE = 100 };

static void batch_script(const struct place *place)
{
	static unsigned char out[MANY][SIZE], in[MANY][SIZE];
	struct rota_datagram sent[MANY], received[MANY];
	struct rota_udp_batch_op op;
	int server = bind_to(place, "127.0.0.1", NULL);
	int client = bind_to(place, "127.0.0.1", NULL);
	const struct rota_address address = local_address(client);

	memset(in, 0, sizeof(in));
	for (unsigned i = 0; i < MANY; i++) {
		memset(out[i], (int)i + 1, SIZE);
		sent[i] = (struct rota_datagram){ .data = out[i], .len = i + 1, .address = local_address(server) };
		received[i] = (struct rota_datagram){ .data = in[i], .size = i == 7 ? 5 : SIZE };
	}
	rota_op_udp_send(&op, client, sent, MANY);
	expect(place->carry(place, &op.future), ==, MANY);
	rota_op_udp_recv(&op, server, received, 3);
	expect(place->carry(place, &op.future), ==, 3);
	rota_op_udp_recv(&op, server, received + 3, MANY - 3);
	expect(place->carry(place, &op.future), ==, MANY - 3);
	for (unsigned i = 0; i < MANY; i++) {
		expect(received[i].len, ==, i == 7 ? 5 : i + 1);
		expect(received[i].truncated, ==, i == 7);
		expect(received[i].segment, ==, 0);
		expect(received[i].address.len, ==, address.len);
		plain_expect_bytes(&received[i].address.addr, &address.addr, address.len);
		plain_expect_filled(in[i], (unsigned char)(i + 1), received[i].len);
		plain_expect_filled(in[i] + received[i].len, 0, SIZE - received[i].len);
	}
	/* The second cannot be sent: the first was. */
	sent[1].len = 100000;
	rota_op_udp_send(&op, client, sent, 3);
	expect(place->carry(place, &op.future), ==, 1);
	rota_op_udp_send(&op, client, sent + 1, 1);
	expect(place->carry(place, &op.future), ==, -EMSGSIZE);
	/* What is there is taken; for more nobody waits. */
	rota_op_udp_recv(&op, server, received, MANY);
	expect(place->carry(place, &op.future), ==, 1);
	close(client);
	close(server);
}

UNIT_TEST(udp, batches)
{
	everyhow(batch_script);
}

/* What is no longer there to be written to is an error, not a signal: of datagrams, and of what was taken for them. */
static void broken_script(const struct place *place)
{
	struct rota_datagram datagram = { .data = (void *)"x", .len = 1 };
	struct rota_udp_batch_op op;
	int server = bind_to(place, "127.0.0.1", NULL);
	int fds[2] = { connect_to(place, "127.0.0.1", server), -1 };

	expect(shutdown(fds[0], SHUT_WR), ==, 0);
	rota_op_udp_send(&op, fds[0], &datagram, 1);
	expect(place->carry(place, &op.future), ==, -EPIPE);
	close(fds[0]);
	close(server);
	plain_pair(fds);
	close(fds[1]);
	rota_op_udp_send(&op, fds[0], &datagram, 1);
	expect(place->carry(place, &op.future), ==, -EPIPE);
	close(fds[0]);
}

UNIT_TEST(udp, broken_sockets_raise_no_signal)
{
	signal(SIGPIPE, SIG_DFL);
	everyhow(broken_script);
}

/* Cut by the kernel, and joined by it where the socket asks for that. */
static void segments_script(const struct place *place)
{
	const struct rota_udp_options joins = { .gro = true };
	static unsigned char out[3500], in[3500];
	struct rota_datagram sent = { .data = out, .len = sizeof(out), .segment = 1000 };
	struct rota_datagram received[4];
	struct rota_udp_batch_op op;
	size_t total;

	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (unsigned char)(i % 251);
	for (int joined = 0; joined < 2; joined++) {
		int server = bind_to(place, "127.0.0.1", joined ? &joins : NULL);
		int client = connect_to(place, "127.0.0.1", server);

		rota_op_udp_send(&op, client, &sent, 1);
		expect(place->carry(place, &op.future), ==, 1);
		for (total = 0; total < sizeof(in);) {
			received[0] = (struct rota_datagram){ .data = in + total, .size = sizeof(in) - total };
			rota_op_udp_recv(&op, server, received, 1);
			expect(place->carry(place, &op.future), ==, 1);
			expect(received[0].truncated, ==, false);
			expect(received[0].segment, ==, joined ? 1000 : 0);
			expect(received[0].len, ==, joined ? 3500 : sizeof(in) - total < 1000 ? 500 : 1000);
			total += received[0].len;
		}
		plain_expect_bytes(in, out, sizeof(in));
		memset(in, 0, sizeof(in));
		close(client);
		close(server);
	}
}

UNIT_TEST(udp, segments)
{
	everyhow(segments_script);
}

/* --- groups ----------------------------------------------------------------------------------------------------------------- */

static void group(const struct place *place, const char *any, const char *group_host, const char *interface)
{
	const struct rota_udp_options options = { .reuse_address = true };
	struct rota_address address;
	char buf[8];
	struct rota_message_op op;
	int server = bind_to(place, any, &options);
	int client = bind_to(place, any, NULL);

	expect(rota_resolve(group_host, port_text(rota_local_port(server)), ROTA_RESOLVE_DATAGRAM, &address, 1), ==, 1);
	expect(rota_udp_join(server, &address, "no-such-link"), ==, -ENODEV);
	expect(rota_udp_leave(server, &address, interface), ==, -EADDRNOTAVAIL);
	expect(rota_udp_join(server, &address, interface), ==, 0);
	expect(rota_udp_join(server, &address, interface), ==, -EADDRINUSE);
	expect(rota_udp_multicast_interface(client, "no-such-link"), ==, -ENODEV);
	expect(rota_udp_multicast_interface(client, interface), ==, 0);
	expect(rota_udp_multicast_ttl(client, 0), ==, 0);
	expect(rota_udp_multicast_ttl(client, 256), ==, -EINVAL);
	expect(rota_udp_multicast_ttl(client, -1), ==, -EINVAL);
	expect(rota_udp_multicast_loop(client, true), ==, 0);
	rota_op_sendto(&op, client, "group", 5, 0, &address.addr.any, address.len);
	expect(place->carry(place, &op.future), ==, 5);
	rota_op_recvfrom(&op, server, buf, sizeof(buf), 0, NULL, NULL);
	expect(place->carry(place, &op.future), ==, 5);
	/* Not when this host is not to hear it, nor after leaving. */
	expect(rota_udp_multicast_loop(client, false), ==, 0);
	rota_op_sendto(&op, client, "quiet", 5, 0, &address.addr.any, address.len);
	expect(place->carry(place, &op.future), ==, 5);
	expect(rota_udp_multicast_loop(client, true), ==, 0);
	expect(rota_udp_leave(server, &address, interface), ==, 0);
	rota_op_sendto(&op, client, "left", 4, 0, &address.addr.any, address.len);
	expect(place->carry(place, &op.future), ==, 4);
	rota_op_recvfrom(&op, server, buf, sizeof(buf), MSG_DONTWAIT, NULL, NULL);
	expect(place->carry(place, &op.future), ==, -EAGAIN);
	close(client);
	close(server);
}

/* A link that takes multicast; false: there is none. */
static bool multicast_link(int family, char *ret_name)
{
	struct ifaddrs *list, *at;
	bool found = false;

	expect(getifaddrs(&list), ==, 0);
	for (at = list; at != NULL && !found; at = at->ifa_next) {
		if (at->ifa_addr == NULL || at->ifa_addr->sa_family != family || !(at->ifa_flags & IFF_MULTICAST) ||
		    !(at->ifa_flags & IFF_UP))
			continue;
		snprintf(ret_name, IF_NAMESIZE, "%s", at->ifa_name);
		found = true;
	}
	freeifaddrs(list);
	return found;
}

/* Groups of this process: Linux delivers to a socket that has left a group for as long as anybody on the link is in it. */

static void group4_script(const struct place *place)
{
	unsigned pid = (unsigned)getpid();
	char host[32];

	snprintf(host, sizeof(host), "239.%u.%u.%u", pid >> 16 & 255, pid >> 8 & 255, pid & 255);
	group(place, "0.0.0.0", host, place->data);
}

static void group6_script(const struct place *place)
{
	char host[64];

	snprintf(host, sizeof(host), "ff02::4321:%x:%x%%%s", getpid() >> 16 & 0xffff, getpid() & 0xffff,
		 (const char *)place->data);
	group(place, "::", host, place->data);
}

static void run_multicast(int family, unsigned places, place_script *script)
{
	char name[IF_NAMESIZE];

	if (!multicast_link(family, name))
		cr_skip("no link with multicast here");
	for (unsigned i = 0; i < places; i++)
		place_run(&place_kinds[i], 0, script, name);
}

UNIT_TEST(udp, groups)
{
	run_multicast(AF_INET, PLACES, group4_script);
}

UNIT_TEST(udp, groups_v6)
{
	run_multicast(AF_INET6, PLACES, group6_script);
}

struct heard {
	struct rota_address group;
	int client, server, all;
};

/* Sends what the server is not to hear. It is over when somebody else has heard something later, which the server may hear. */
static void say_unheard(struct heard *heard)
{
	char buf[8] = "";

	expect(rota_sendto(heard->client, "silence", 7, 0, &heard->group.addr.any, heard->group.len), ==, 7);
	expect(rota_sendto(heard->client, "over", 4, 0, &heard->group.addr.any, heard->group.len), ==, 4);
	while (rota_recvfrom(heard->all, buf, sizeof(buf), 0, NULL, NULL) != 4)
		plain_expect_bytes(buf, "silence", 7);
}

static void say_heard(struct heard *heard)
{
	char buf[8];
	ssize_t n;

	expect(rota_sendto(heard->client, "heard", 5, 0, &heard->group.addr.any, heard->group.len), ==, 5);
	expect(rota_recvfrom(heard->all, buf, sizeof(buf), 0, NULL, NULL), ==, 5);
	do
		n = rota_recvfrom(heard->server, buf, sizeof(buf), 0, NULL, NULL);
	while (n == 4);
	expect(n, ==, 5);
	plain_expect_bytes(buf, "heard", 5);
}

/* What comes from a source that was not joined is not heard. */
static void sources(const struct place *place, const char *any, const char *group_host, const char *other_host)
{
	const struct rota_udp_options options = { .reuse_address = true };
	struct heard heard = { .server = bind_to(place, any, &options), .client = bind_to(place, any, NULL) };
	struct rota_address own = { .len = sizeof(own.addr) }, other, *group = &heard.group;
	const char *port = port_text(rota_local_port(heard.server)), *link = place->data;
	char buf[8];

	heard.all = rota_udp_bind(any, port, &options);
	expect(heard.all, >=, 0);
	expect(rota_resolve(group_host, port, ROTA_RESOLVE_DATAGRAM, group, 1), ==, 1);
	expect(rota_resolve(other_host, "0", ROTA_RESOLVE_DATAGRAM, &other, 1), ==, 1);
	expect(rota_udp_multicast_interface(heard.client, link), ==, 0);
	/* Who hears all of them tells which address the client has. */
	expect(rota_udp_join(heard.all, group, link), ==, 0);
	expect(rota_udp_join_source(heard.server, group, &other, link), ==, 0);
	expect(rota_sendto(heard.client, "silence", 7, 0, &group->addr.any, group->len), ==, 7);
	expect(rota_recvfrom(heard.all, buf, sizeof(buf), 0, &own.addr.any, &own.len), ==, 7);
	expect(rota_udp_join_source(heard.server, group, &own, "no-such-link"), ==, -ENODEV);
	expect(rota_udp_leave_source(heard.server, group, &own, link), <, 0);
	say_unheard(&heard);
	expect(rota_udp_join_source(heard.server, group, &own, link), ==, 0);
	say_heard(&heard);
	expect(rota_udp_leave_source(heard.server, group, &own, link), ==, 0);
	say_unheard(&heard);
	expect(rota_udp_join_source(heard.server, group, &own, link), ==, 0);
	say_heard(&heard);
	close(heard.client);
	close(heard.server);
	close(heard.all);
}

static void sources4_script(const struct place *place)
{
	char host[32];

	snprintf(host, sizeof(host), "232.%u.%u.%u", getpid() >> 16 & 255, getpid() >> 8 & 255, getpid() & 255);
	sources(place, "0.0.0.0", host, "192.0.2.1");
}

static void sources6_script(const struct place *place)
{
	char host[64];

	snprintf(host, sizeof(host), "ff32::4321:%x:%x%%%s", getpid() >> 16 & 0xffff, getpid() & 0xffff,
		 (const char *)place->data);
	sources(place, "::", host, "2001:db8::1");
}

UNIT_TEST(udp, sources_of_groups)
{
	run_multicast(AF_INET, PLACES_FOR_CALLS, sources4_script);
}

UNIT_TEST(udp, sources_of_groups_v6)
{
	run_multicast(AF_INET6, PLACES_FOR_CALLS, sources6_script);
}

UNIT_TEST(udp, group_options)
{
	int v4 = socket(AF_INET, SOCK_DGRAM, 0), local = socket(AF_UNIX, SOCK_DGRAM, 0);

	expect(rota_udp_multicast_ttl(v4, 7), ==, 0);
	expect(option(v4, IPPROTO_IP, IP_MULTICAST_TTL), ==, 7);
	expect(rota_udp_multicast_loop(v4, false), ==, 0);
	expect(option(v4, IPPROTO_IP, IP_MULTICAST_LOOP), ==, 0);
	expect(rota_udp_multicast_interface(v4, NULL), ==, 0);
	expect(rota_udp_multicast_ttl(local, 7), ==, -EAFNOSUPPORT);
	expect(rota_udp_multicast_interface(local, NULL), ==, -EAFNOSUPPORT);
	expect(rota_udp_multicast_ttl(plain_closed(), 7), ==, -EBADF);
	close(v4);
	close(local);
}

/* --- cancelling ------------------------------------------------------------------------------------------------------------- */

struct caller {
	int fd;
	bool batch;
	rota_task *task;
	int status;
};

static int call_recv(void *arg)
{
	struct caller *caller = arg;
	char buf[4];
	struct rota_datagram datagram = { .data = buf, .size = sizeof(buf) };

	if (caller->batch)
		return rota_udp_recv(caller->fd, &datagram, 1);
	return (int)rota_recvfrom(caller->fd, buf, sizeof(buf), 0, NULL, NULL);
}

/* A datagram that comes while the cancel is under way is the result, or is still there. */
static void cancel_script(const struct place *place)
{
	struct caller caller = { .fd = bind_to(place, "127.0.0.1", NULL) };
	int client = connect_to(place, "127.0.0.1", caller.fd);

	for (unsigned i = 0; i < 200; i++) {
		char byte;

		caller.batch = i % 2 != 0;
		expect(rota_spawn(&caller.task, call_recv, &caller), ==, 0);
		for (unsigned yields = 0; yields < i % 7; yields++)
			rota_yield();
		if (i % 3 != 0)
			expect(send(client, "x", 1, 0), ==, 1);
		expect(rota_cancel(caller.task), ==, 0);
		expect(rota_join(caller.task, &caller.status), ==, 0);
		if (caller.status >= 0)
			expect(caller.status, ==, 1);
		else
			expect(caller.status, ==, -ECANCELED);
		if (caller.status < 0 && i % 3 != 0)
			expect(recv(caller.fd, &byte, 1, 0), ==, 1);
		expect(recv(caller.fd, &byte, 1, MSG_DONTWAIT), ==, -1);
	}
	close(client);
	close(caller.fd);
}

UNIT_TEST(udp, cancelled)
{
	in_fibers(cancel_script, 0);
	in_fibers(cancel_script, 1);
}
