/* SPDX-License-Identifier: MIT */
/*
 * An echo server and its clients over TCP: many connections, messages of random sizes, every byte checked. Connections end
 * in every way: closed, half closed and drained, reset in the middle; clients and the server's tasks are cancelled while
 * they talk. Clients are fibers, blocking jobs and plain threads; some of those use plain system calls. In the end nobody
 * is left and no descriptor either.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crew.h"

#define MEMBERS 20u
#define ROUNDS STRESS_FEWER(48u)
#define CONNECTIONS 12u /* of each member, one after the other */
#define MESSAGES 8u
#define MESSAGE_MAX 40000u

struct hall {
	int listener;
	char port[16];
	struct rota_atomic_u32 stopping;
	struct rota_atomic_u32 served, echoed, broken;
};

/* --- the server ---------------------------------------------------------------------------------------------------------- */

struct connection {
	struct hall *hall;
	int fd;
	struct stress_random random;
};

/* What was read goes back, until the end, an error, or a cancellation. */
static int serve(void *arg)
{
	struct connection *connection = arg;
	const size_t size = 1 + stress_below(&connection->random, MESSAGE_MAX);
	unsigned char *bytes = malloc(size);
	ssize_t n, m = 0;

	for (;;) {
		n = stress_one_in(&connection->random, 2) ? rota_read(connection->fd, bytes, size)
							  : rota_recv(connection->fd, bytes, size, 0);
		if (n <= 0)
			break;
		m = rota_write_all(connection->fd, bytes, (size_t)n);
		if (m != n)
			break;
	}
	/* All that may go wrong: the peer has reset, or we were cancelled. */
	if (n < 0 && n != -ECONNRESET && n != -EPIPE)
		expect(n, ==, -ECANCELED);
	if (n > 0 && m < 0 && m != -ECONNRESET && m != -EPIPE)
		expect(m, ==, -ECANCELED);
	if (n == 0)
		expect(rota_shutdown(connection->fd, SHUT_WR), <=, 0);
	expect(rota_close(connection->fd), ==, 0);
	rota__fetch_add(&connection->hall->served, 1, SEQ_CST);
	free(bytes);
	free(connection);
	return 0;
}

/* Cancels a connection's task in the middle. */
static int reap(void *arg)
{
	rota_task *task = arg;

	rota_sleep(ROTA_MS(1));
	expect(rota_cancel(task), ==, 0);
	rota_shield_enter();
	expect(rota_join(task, NULL), ==, 0);
	rota_shield_leave();
	return 0;
}

static int accept_all(void *arg)
{
	struct hall *hall = arg;
	struct stress_random random = stress_random_new(7);
	int fd;

	while ((fd = rota_accept(hall->listener, NULL, NULL)) >= 0) {
		struct connection *connection = malloc(sizeof(*connection));
		const int on = 1;
		rota_task *task;

		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		*connection = (struct connection){ hall, fd, { stress_next(&random) } };
		expect(rota_spawn(&task, serve, connection), ==, 0);
		if (stress_one_in(&random, 10))
			expect(rota_spawn(NULL, reap, task), ==, 0);
		else
			rota_detach(task);
	}
	expect(fd, ==, -ECANCELED);
	return 0;
}

/* --- clients: the way to talk --------------------------------------------------------------------------------------------- */

struct talk {
	struct member *member;
	bool plain; /* by plain system calls */
	int fd;
	uint32_t key;
	size_t sent, received;
};

static unsigned char byte_at(const struct talk *talk, size_t at)
{
	return (unsigned char)(talk->key + at * 13 + (at >> 8));
}

static ssize_t talk_wait(struct talk *talk, struct rota_transfer_op *op)
{
	int rc = talk->member->kind == MEMBER_THREAD ? rota_block_on_future(talk->member->crew->rt, &op->future)
						     : rota_await(&op->future);

	return rc < 0 && op->done == 0 ? rc : (ssize_t)op->done;
}

static ssize_t plain_transfer(int fd, unsigned char *bytes, size_t len, bool out)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n =
			out ? send(fd, bytes + done, len - done, MSG_NOSIGNAL) : recv(fd, bytes + done, len - done, 0);

		if (n <= 0)
			return done > 0 ? (ssize_t)done : n < 0 ? -errno : 0;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static ssize_t talk_send(struct talk *talk, unsigned char *bytes, size_t len)
{
	struct rota_transfer_op op;
	ssize_t n;

	for (size_t i = 0; i < len; i++)
		bytes[i] = byte_at(talk, talk->sent + i);
	if (talk->plain) {
		n = plain_transfer(talk->fd, bytes, len, true);
	} else {
		rota_op_write_all(&op, talk->fd, bytes, len);
		n = talk_wait(talk, &op);
	}
	if (n > 0)
		talk->sent += (size_t)n;
	return n;
}

/* Whatever comes, a short end too, is what was sent. */
static ssize_t talk_recv(struct talk *talk, unsigned char *bytes, size_t len)
{
	struct rota_transfer_op op;
	ssize_t n;

	if (talk->plain) {
		n = plain_transfer(talk->fd, bytes, len, false);
	} else {
		rota_op_read_exact(&op, talk->fd, bytes, len);
		n = talk_wait(talk, &op);
	}
	for (ssize_t i = 0; i < n; i++)
		expect(bytes[i], ==, byte_at(talk, talk->received + (size_t)i));
	if (n > 0)
		talk->received += (size_t)n;
	return n;
}

static int talk_connect(struct talk *talk)
{
	struct hall *hall = talk->member->crew->data;
	struct rota_tcp_op op;

	if (talk->plain || talk->member->kind != MEMBER_THREAD)
		return rota_tcp_connect("127.0.0.1", hall->port);
	rota_op_tcp_connect(&op, "127.0.0.1", hall->port);
	return rota_block_on_future(talk->member->crew->rt, &op.future);
}

static void talk_close(struct talk *talk, bool reset)
{
	const struct linger linger = { 1, 0 };

	if (reset)
		setsockopt(talk->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	if (talk->plain)
		close(talk->fd);
	else
		expect(rota_close(talk->fd), ==, 0);
}

/* --- clients: what they say ------------------------------------------------------------------------------------------------ */

/* Errors that a talk may end with: the server's task was cancelled, or we were. */
static bool broke(ssize_t n)
{
	if (n >= 0)
		return false;
	if (n != -ECONNRESET && n != -EPIPE)
		expect(n, ==, -ECANCELED);
	return true;
}

/* One message and its echo. false: the talk is over. */
static bool exchange(struct talk *talk, unsigned char *bytes)
{
	const size_t len =
		1 + stress_below(&talk->member->random, stress_one_in(&talk->member->random, 4) ? MESSAGE_MAX : 200);
	ssize_t n = talk_send(talk, bytes, len);

	if (broke(n) || n < (ssize_t)len)
		return false;
	n = talk_recv(talk, bytes, len);
	if (broke(n) || n < (ssize_t)len)
		return false;
	stress_moved();
	return true;
}

/* Closes its half with a message under way, and drains the other. */
static bool half_close(struct talk *talk, unsigned char *bytes)
{
	const size_t len = 1 + stress_below(&talk->member->random, 2000);
	ssize_t n = talk_send(talk, bytes, len);

	if (broke(n) || n < (ssize_t)len)
		return false;
	expect(rota_shutdown(talk->fd, SHUT_WR), <=, 0);
	n = talk_recv(talk, bytes, len);
	if (broke(n) || n < (ssize_t)len)
		return false;
	return talk_recv(talk, bytes, 1) == 0;
}

static void converse(struct talk *talk)
{
	struct hall *hall = talk->member->crew->data;
	unsigned char *bytes = malloc(MESSAGE_MAX);
	unsigned left = stress_below(&talk->member->random, MESSAGES + 1);
	bool good = true, reset = false;

	while (good && left-- > 0)
		good = exchange(talk, bytes);
	switch (stress_below(&talk->member->random, 4)) {
	case 0:
		good = good && half_close(talk, bytes);
		break;
	case 1:
		reset = true; /* with a message under way */
		good = good && talk_send(talk, bytes, 100) == 100;
		break;
	default:
		break;
	}
	talk_close(talk, reset);
	rota__fetch_add(good ? &hall->echoed : &hall->broken, 1, RELAXED);
	free(bytes);
}

static void talk_once(struct member *member)
{
	struct talk talk = { .member = member, .key = stress_below(&member->random, UINT32_MAX) };

	talk.plain = member->kind != MEMBER_FIBER && stress_one_in(&member->random, 2);
	talk.fd = talk_connect(&talk);
	if (talk.fd >= 0)
		converse(&talk);
	else
		expect(talk.fd, ==, -ECANCELED);
}

static int talk_as_task(void *arg)
{
	talk_once(arg);
	return 0;
}

/* Now and then a client is a task that is cancelled in the middle. */
static void work(struct member *member)
{
	for (unsigned i = 0; i < CONNECTIONS; i++) {
		rota_task *task;

		if (member->kind != MEMBER_FIBER || stress_one_in(&member->random, 2)) {
			talk_once(member);
		} else {
			const uint64_t patience = ROTA_US(stress_below(&member->random, 2000));

			expect(rota_spawn(&task, talk_as_task, member), ==, 0); /* has the member's dice until it ends */
			rota_sleep(patience);
			expect(rota_cancel(task), ==, 0);
			expect(rota_join(task, NULL), ==, 0);
		}
		stress_moved();
	}
}

static int start_server(void *arg)
{
	rota_task **task = ((void **)arg)[0];

	return rota_spawn(task, accept_all, ((void **)arg)[1]);
}

static int stop_server(void *arg)
{
	expect(rota_cancel(arg), ==, 0);
	return rota_join(arg, NULL);
}

static void one_round(struct stress_random *random)
{
	struct hall hall = { .listener = rota_tcp_listen("127.0.0.1", "0", 0) };
	rota_task *server;
	void *arg[] = { &server, &hall };
	struct crew crew;

	expect(hall.listener, >=, 0);
	snprintf(hall.port, sizeof(hall.port), "%d", rota_local_port(hall.listener));
	crew_init(&crew, 1 + stress_below(random, MEMBERS), random);
	expect(rota_block_on(crew.rt, start_server, arg), ==, 0);
	crew_work(&crew, work, &hall);
	expect(rota_block_on(crew.rt, stop_server, server), ==, 0);
	crew_free(&crew); /* cancels the server's tasks that are left, and waits for them */
	expect(rota_close(hall.listener), ==, 0);
	expect(rota__load(&hall.echoed, SEQ_CST) + rota__load(&hall.broken, SEQ_CST), >, 0);
}

int main(int argc, char **argv)
{
	struct stress_random random;
	unsigned descriptors;

	stress_start(argc, argv, crew_report);
	random = stress_random_new(0);
	descriptors = stress_descriptors();
	for (unsigned round = 0; round < ROUNDS * stress_scale; round++) {
		one_round(&random);
		expect(stress_descriptors(), ==, descriptors);
	}
	return 0;
}
