/* SPDX-License-Identifier: MIT */
/*
 * Several addresses of one peer: some refuse, some never answer, one is good. Which one is taken, that families come in
 * turn, that losers leave no descriptor, and that the call can be cancelled at any time. Options of sockets.
 */
#define _GNU_SOURCE
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>

#include "../../io/tcp.h"
#include "../../runtime/sys_internal.h"
#include "places.h"
#include "plain.h"

static struct rota_address address_of(const char *host, int port)
{
	struct rota_address address;
	char text[16];

	snprintf(text, sizeof(text), "%d", port);
	expect(rota_resolve(host, text, 0, &address, 1), ==, 1);
	return address;
}

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	expect(getsockopt(fd, level, name, &value, &len), ==, 0);
	return value;
}

/* How many connections may wait at a listener. */
static unsigned backlog_of(int listener)
{
	struct tcp_info info = { .tcpi_sacked = 0 };
	socklen_t len = sizeof(info);

	expect(getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &len), ==, 0);
	return info.tcpi_sacked;
}

/* A listener that answers no more: its queue is full. */
struct silent {
	int listener, first, port;
};

static struct silent silent_start(void)
{
	struct silent silent;

	silent.listener = plain_listen(0, &silent.port);
	silent.first = plain_connect(silent.port);
	return silent;
}

static void silent_end(const struct silent *silent)
{
	close(silent->first);
	close(silent->listener);
}

static int port_nobody_has(void)
{
	int port;

	close(plain_listen(1, &port));
	return port;
}

static bool has_v6(void)
{
	const struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	bool has = fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;

	if (fd >= 0)
		close(fd);
	return has;
}

static int connect_to(const struct place *place, const struct rota_address *list, unsigned n,
		      const struct rota_tcp_options *options)
{
	struct rota_tcp_op op;

	rota_op_tcp_connect_to(&op, list, n, options);
	return place->carry(place, &op.future);
}

static int peer_port(int fd)
{
	struct sockaddr_in address;
	socklen_t len = sizeof(address);

	expect(getpeername(fd, (struct sockaddr *)&address, &len), ==, 0);
	return ntohs(address.sin_port);
}

static void refused_script(const struct place *place)
{
	const int nobody = port_nobody_has();
	int port;
	int listener = plain_listen(5, &port);
	struct rota_address list[ROTA_RESOLVE_MAX + 1];

	for (unsigned i = 0; i <= ROTA_RESOLVE_MAX; i++)
		list[i] = address_of("127.0.0.1", nobody);
	expect(connect_to(place, list, 3, NULL), ==, -ECONNREFUSED);
	expect(connect_to(place, list, 0, NULL), ==, -EINVAL);
	expect(connect_to(place, NULL, 1, NULL), ==, -EINVAL);
	expect(connect_to(place, list, ROTA_RESOLVE_MAX + 1, NULL), ==, -EINVAL);
	list[ROTA_RESOLVE_MAX - 1] = address_of("127.0.0.1", port);
	/* A failure ends the head start: this would take minutes. */
	const struct rota_tcp_options options = { .attempt_delay_ns = ROTA_SECONDS(60) };
	int fd = connect_to(place, list, ROTA_RESOLVE_MAX, &options);
	expect(fd, >=, 0);
	expect(peer_port(fd), ==, port);
	expect(option(fd, IPPROTO_TCP, TCP_NODELAY), ==, 1);
	close(fd);
	/* The first socket cannot be had. */
	rota__fault_arm(ROTA__FAULT_SOCKET, 1, -EMFILE);
	list[1] = list[ROTA_RESOLVE_MAX - 1];
	fd = connect_to(place, list, 2, NULL);
	expect(fd, >=, 0);
	close(fd);
	rota__fault_arm(ROTA__FAULT_SOCKET, 1, -EMFILE);
	expect(connect_to(place, list, 1, NULL), ==, -EMFILE);
	close(listener);
}

UNIT_TEST(tcp_race, refused)
{
	everyhow(refused_script);
}

/* One that says nothing is overtaken, when its head start is over and no sooner, and lets go of its socket. */
static void silent_script(const struct place *place)
{
	const struct rota_tcp_options options = { .attempt_delay_ns = ROTA_MS(5) };
	struct silent silent = silent_start();
	struct rota_address list[ROTA_RESOLVE_MAX];
	const unsigned before = unit_own_descriptors();
	int port;
	int listener = plain_listen(5, &port);

	for (unsigned i = 0; i < ROTA_RESOLVE_MAX; i++)
		list[i] = address_of("127.0.0.1", silent.port);
	list[3] = address_of("127.0.0.1", port);
	uint64_t start = rota_now();
	int fd = connect_to(place, list, 4, &options);
	expect(rota_now() - start, >=, 3 * options.attempt_delay_ns);
	expect(fd, >=, 0);
	expect(peer_port(fd), ==, port);
	expect(unit_own_descriptors(), ==, before + 2);
	close(fd);
	start = rota_now();
	fd = connect_to(place, list + 2, 2, NULL); /* the usual head start */
	expect(rota_now() - start, >=, ROTA_MS(250));
	expect(fd, >=, 0);
	close(fd);
	close(listener);
	silent_end(&silent);
}

UNIT_TEST(tcp_race, silent)
{
	everyhow_inside(silent_script, 0);
}

/* While the first address has its head start, nothing is sent to the second. */
static void head_start_script(const struct place *place)
{
	const struct rota_tcp_options options = { .attempt_delay_ns = ROTA_SECONDS(3600) };
	int port[2];
	const int listeners[2] = { plain_listen(5, &port[0]), plain_listen(5, &port[1]) };
	const struct rota_address list[2] = { address_of("127.0.0.1", port[0]), address_of("127.0.0.1", port[1]) };
	struct pollfd second = { .fd = listeners[1], .events = POLLIN };
	int fd = connect_to(place, list, 2, &options);

	expect(fd, >=, 0);
	expect(peer_port(fd), ==, port[0]);
	expect(poll(&second, 1, 0), ==, 0);
	close(fd);
	plain_close(listeners);
}

UNIT_TEST(tcp_race, head_start)
{
	everyhow_inside(head_start_script, 0);
}

static void families_script(const struct place *place)
{
	const struct rota_tcp_options options = { .attempt_delay_ns = ROTA_SECONDS(60) };
	int v4_port;
	int v4 = plain_listen(5, &v4_port);
	int v6 = rota_tcp_listen("::1", "0", 5);
	const struct rota_address list[3] = {
		address_of("127.0.0.1", port_nobody_has()),
		address_of("127.0.0.1", v4_port),
		address_of("::1", rota_local_port(v6)),
	};
	int fd = connect_to(place, list, 3, &options);

	expect(fd, >=, 0);
	expect(option(fd, SOL_SOCKET, SO_DOMAIN), ==, AF_INET6);
	close(fd);
	fd = connect_to(place, list, 2, &options);
	expect(fd, >=, 0);
	expect(option(fd, SOL_SOCKET, SO_DOMAIN), ==, AF_INET);
	close(fd);
	close(v4);
	close(v6);
}

UNIT_TEST(tcp_race, families_in_turn)
{
	if (has_v6())
		everyhow(families_script);
	else
		cr_skip("no IPv6 here");
}

/* --- cancelling --------------------------------------------------------------------------------------------------------- */

struct caller {
	struct rota_address list[ROTA_RESOLVE_MAX];
	unsigned n;
	rota_task *task;
	int status;
};

static int call_connect(void *arg)
{
	const struct rota_tcp_options options = { .attempt_delay_ns = ROTA_US(100) };
	struct caller *caller = arg;
	int fd = rota_tcp_connect_to(caller->list, caller->n, &options);

	if (fd >= 0)
		expect(rota_close(fd), ==, 0);
	return fd;
}

static int cancel_call(struct caller *caller, uint64_t delay)
{
	expect(rota_spawn(&caller->task, call_connect, caller), ==, 0);
	rota_sleep(delay);
	expect(rota_cancel(caller->task), ==, 0);
	expect(rota_join(caller->task, &caller->status), ==, 0);
	return caller->status;
}

static void cancel_script(const struct place *place)
{
	struct silent silent = silent_start();
	struct caller caller = { .n = ROTA_RESOLVE_MAX };
	const unsigned before = unit_own_descriptors();
	int port;

	(void)place;
	for (unsigned i = 0; i < ROTA_RESOLVE_MAX; i++)
		caller.list[i] = address_of("127.0.0.1", silent.port);
	for (uint64_t i = 0; i < 20; i++) {
		expect(cancel_call(&caller, i * ROTA_US(150)), ==, -ECANCELED);
		expect(unit_own_descriptors(), ==, before);
	}
	/* Races with a connection: whatever wins, nothing is left. */
	int listener = plain_listen(64, &port);
	caller.list[1] = address_of("127.0.0.1", port);
	for (uint64_t i = 0; i < 40; i++) {
		if (cancel_call(&caller, i * ROTA_US(20)) < 0)
			expect(caller.status, ==, -ECANCELED);
		expect(unit_own_descriptors(), ==, before + 1);
	}
	close(listener);
	silent_end(&silent);
}

UNIT_TEST(tcp_race, cancelled)
{
	in_fibers(cancel_script, 0);
	in_fibers(cancel_script, 1);
}

/* --- options -------------------------------------------------------------------------------------------------------------- */

static void options_script(const struct place *place)
{
	const struct rota_tcp_options listening = { .keepalive = true,
						    .keepalive_idle_s = 77,
						    .reuse_port = true,
						    .send_buffer = 40000,
						    .receive_buffer = 20000,
						    .backlog = 3,
						    .fast_open = 5 };
	struct rota_address local = address_of("127.0.0.9", 0);
	const struct rota_tcp_options connecting = { .nagle = true,
						     .keepalive = true,
						     .keepalive_idle_s = 55,
						     .keepalive_interval_s = 33,
						     .keepalive_count = 4,
						     .send_buffer = 30000,
						     .receive_buffer = 25000,
						     .local = &local };
	struct sockaddr_in address;
	socklen_t len = sizeof(address);
	struct rota_tcp_op op;
	char port[16];

	rota_op_tcp_listen_with(&op, "127.0.0.1", "0", &listening);
	int listener = place->carry(place, &op.future);
	expect(listener, >=, 0);
	expect(option(listener, SOL_SOCKET, SO_REUSEPORT), ==, 1);
	expect(option(listener, IPPROTO_TCP, TCP_FASTOPEN), ==, 5);
	expect(option(listener, SOL_SOCKET, SO_RCVBUF), ==, 40000);
	expect(backlog_of(listener), ==, 3);
	snprintf(port, sizeof(port), "%d", rota_local_port(listener));
	rota_op_tcp_listen_with(&op, "127.0.0.1", port, &listening);
	int twin = place->carry(place, &op.future);
	expect(twin, >=, 0); /* a port for two */
	close(twin);
	rota_op_tcp_connect_with(&op, "127.0.0.1", port, &connecting);
	int fd = place->carry(place, &op.future);
	expect(fd, >=, 0);
	expect(option(fd, IPPROTO_TCP, TCP_NODELAY), ==, 0);
	expect(option(fd, SOL_SOCKET, SO_KEEPALIVE), ==, 1);
	expect(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), ==, 55);
	expect(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), ==, 33);
	expect(option(fd, IPPROTO_TCP, TCP_KEEPCNT), ==, 4);
	expect(option(fd, SOL_SOCKET, SO_SNDBUF), ==, 60000);
	expect(option(fd, SOL_SOCKET, SO_RCVBUF), ==, 50000);
	int peer = accept4(listener, (struct sockaddr *)&address, &len, SOCK_CLOEXEC);
	expect(ntohl(address.sin_addr.s_addr), ==, INADDR_LOOPBACK + 8);
	expect(option(peer, IPPROTO_TCP, TCP_NODELAY), ==, 1); /* inherited, like the others */
	expect(option(peer, SOL_SOCKET, SO_KEEPALIVE), ==, 1);
	expect(option(peer, IPPROTO_TCP, TCP_KEEPIDLE), ==, 77);
	expect(option(peer, SOL_SOCKET, SO_SNDBUF), ==, 80000);
	expect(option(peer, SOL_SOCKET, SO_RCVBUF), ==, 40000);
	close(peer);
	close(fd);
	close(listener);
	local = address_of("192.0.2.1", 0);
	rota_op_tcp_connect_with(&op, "127.0.0.1", port, &connecting);
	expect(place->carry(place, &op.future), ==, -EADDRNOTAVAIL);
}

UNIT_TEST(tcp_race, options)
{
	everyhow(options_script);
}

/* What no kernel would take is not passed over. */
static void bad_options_script(const struct place *place)
{
	static const struct rota_tcp_options options[] = {
		{ .keepalive_idle_s = 40000 },     /* more than TCP_KEEPIDLE knows */
		{ .keepalive_count = 4000000000 }, /* and than an int does */
		{ .send_buffer = -1 },
		{ .receive_buffer = -20000 },
	};
	struct rota_address address = address_of("127.0.0.1", 1);
	struct rota_tcp_op op;

	for (unsigned i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		rota_op_tcp_listen_with(&op, "127.0.0.1", "0", &options[i]);
		expect(place->carry(place, &op.future), ==, -EINVAL);
		rota_op_tcp_connect_to(&op, &address, 1, &options[i]);
		expect(place->carry(place, &op.future), ==, -EINVAL);
	}
}

UNIT_TEST(tcp_race, bad_options)
{
	everyhow(bad_options_script);
}

static void v6only_script(const struct place *place)
{
	const struct rota_tcp_options options = { .v6only = true };
	struct rota_tcp_op op;
	char port[16];

	rota_op_tcp_listen_with(&op, "::", "0", &options);
	int listener = place->carry(place, &op.future);
	expect(listener, >=, 0);
	snprintf(port, sizeof(port), "%d", rota_local_port(listener));
	expect(rota_tcp_connect("127.0.0.1", port), ==, -ECONNREFUSED);
	int fd = rota_tcp_connect("::1", port);
	expect(fd, >=, 0);
	close(fd);
	close(listener);
}

UNIT_TEST(tcp_race, v6only)
{
	if (has_v6())
		in_fibers(v6only_script, 0);
	else
		cr_skip("no IPv6 here");
}

/* An address of one link only, with its scope: "fe80::1%eth0". */
static bool link_local(char *ret_text, size_t size)
{
	struct ifaddrs *list, *at;
	bool found = false;

	expect(getifaddrs(&list), ==, 0);
	for (at = list; at != NULL && !found; at = at->ifa_next) {
		struct sockaddr_in6 *address = (struct sockaddr_in6 *)(void *)at->ifa_addr;
		char text[INET6_ADDRSTRLEN];

		if (address == NULL || address->sin6_family != AF_INET6 || !IN6_IS_ADDR_LINKLOCAL(&address->sin6_addr))
			continue;
		inet_ntop(AF_INET6, &address->sin6_addr, text, sizeof(text));
		snprintf(ret_text, size, "%s%%%s", text, at->ifa_name);
		found = true;
	}
	freeifaddrs(list);
	return found;
}

static void scope_script(const struct place *place)
{
	const char *host = place->data;
	char port[16];

	int listener = rota_tcp_listen(host, "0", 0);
	expect(listener, >=, 0);
	snprintf(port, sizeof(port), "%d", rota_local_port(listener));
	int fd = rota_tcp_connect(host, port);
	expect(fd, >=, 0);
	close(fd);
	close(listener);
}

UNIT_TEST(tcp_race, scope)
{
	struct rota_address address;
	char host[100];

	expect(rota_resolve("fe80::1%lo", "80", 0, &address, 1), ==, 1);
	expect(address.addr.in6.sin6_scope_id, ==, if_nametoindex("lo"));
	expect(rota_resolve("fe80::1%no-such-link", "80", 0, &address, 1), <, 0);
	if (!link_local(host, sizeof(host)))
		cr_skip("no address of a link here");
	for (unsigned i = 0; i < PLACES_FOR_CALLS; i++)
		place_run(&place_kinds[i], 0, scope_script, host);
}
