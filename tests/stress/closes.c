/* SPDX-License-Identifier: MIT */
/*
 * Teams: one member closes a descriptor while the others wait on it, for either direction, and opens others at once, which
 * get its number. Some of what they wait for comes just before. Each wait ends with -ECANCELED or with what was meant for
 * it; nothing that is meant for the new descriptor reaches an old wait, and nothing of an old wait reaches the new one.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../io/fd.h"
#include "../../io/socket.h"
#include "../../io/splice.h"
#include "../../sync/barrier.h"
#include "../../sync/wait_group.h"
#include "crew.h"

#define TEAMS 3u
#define WAITERS 3u
#define MEMBERS (TEAMS * (WAITERS + 1))
#define ROUNDS STRESS_FEWER(16u)
#define TURNS 100u

enum way { WAY_READ, WAY_WRITE, WAY_POLL, WAY_SPLICE_FROM, WAY_SPLICE_TO, WAYS };

struct team {
	int pair[2]; /* the first is waited on, and closed */
	uint32_t token, next_token;
	bool full; /* who writes waits */
	enum way ways[WAITERS];
	struct rota_barrier barrier;
	struct rota_wait_group begun;
};

/* --- who waits ---------------------------------------------------------------------------------------------------- */

/* The wait of another future; says when that was polled first. */
struct told {
	struct rota_future future;
	struct rota_future *child;
	struct rota_wait_group *begun;
	bool said;
};

static rota_poll told_poll(struct rota_future *self, struct rota_context *cx)
{
	struct told *told = (struct told *)(void *)self;
	rota_poll polled = rota_future_poll(told->child, cx);

	if (!told->said)
		rota_wait_group_done(told->begun);
	told->said = true;
	if (polled == ROTA_READY) /* before, it is not ours to read */
		self->status = told->child->status;
	return polled;
}

static const struct rota_future_ops told_ops = { .poll = told_poll };

static void prepare(struct member *member, struct rota_op *op, int fd, enum way way, uint32_t *token)
{
	const bool message = stress_one_in(&member->random, 2);

	if (way == WAY_POLL)
		rota_op_poll(op, fd, stress_one_in(&member->random, 2) ? POLLIN : POLLOUT);
	else if (way == WAY_READ && message)
		rota_op_recv(op, fd, token, sizeof(*token), 0);
	else if (way == WAY_READ)
		rota_op_read(op, fd, token, sizeof(*token), -1);
	else if (message)
		rota_op_send(op, fd, token, sizeof(*token), 0);
	else
		rota_op_write(op, fd, token, sizeof(*token), -1);
}

static int wait_told(struct member *member, struct team *team, struct rota_future *future)
{
	struct told told = { .begun = &team->begun, .child = future };

	rota_future_init(&told.future, &told_ops);
	return member_wait(member, &told.future);
}

/* By way of a pipe: what was not moved is still where it was. */
static int splice_it(struct member *member, struct team *team, bool writes, uint32_t *token)
{
	struct rota_splice_op op;
	int fds[2], rc;

	expect(pipe2(fds, O_CLOEXEC | O_NONBLOCK), ==, 0);
	if (writes)
		expect(write(fds[1], token, sizeof(*token)), ==, (ssize_t)sizeof(*token));
	rota_op_splice(&op, writes ? fds[0] : team->pair[0], -1, writes ? team->pair[0] : fds[1], -1, sizeof(*token), 0);
	rc = wait_told(member, team, &op.future);
	expect(read(fds[0], token, sizeof(*token)), ==, (rc > 0) != writes ? (ssize_t)sizeof(*token) : -1);
	close(fds[0]);
	close(fds[1]);
	return rc;
}

static void wait_for_it(struct member *member, struct team *team, unsigned number)
{
	const enum way way = team->ways[number];
	uint32_t token = way == WAY_WRITE || way == WAY_SPLICE_TO ? team->token : 0;
	struct rota_op op;
	int rc;

	if (way == WAY_SPLICE_FROM || way == WAY_SPLICE_TO) {
		rc = splice_it(member, team, way == WAY_SPLICE_TO, &token);
	} else {
		prepare(member, &op, team->pair[0], way, &token);
		rc = wait_told(member, team, &op.future);
	}
	if (rc == -ECANCELED)
		return;
	expect(rc, >, 0);
	if (way == WAY_READ || way == WAY_SPLICE_FROM) {
		expect(rc, ==, (int)sizeof(token));
		expect(token, ==, team->token);
	}
}

/* --- who closes --------------------------------------------------------------------------------------------------- */

/* All that is left to be read: so many tokens, all of this value. */
static unsigned drain(int fd, uint32_t value)
{
	unsigned n = 0;
	uint32_t token;
	ssize_t rc;

	while ((rc = recv(fd, &token, sizeof(token), MSG_DONTWAIT)) > 0) {
		expect(rc, ==, (ssize_t)sizeof(token));
		expect(token, ==, value);
		n++;
	}
	return n;
}

static void make_pair(struct stress_random *random, int pair[2])
{
	expect(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), ==, 0);
	if (stress_one_in(random, 2))
		expect(fcntl(pair[0], F_SETFL, O_NONBLOCK), ==, 0);
}

static void set_up(struct member *member, struct team *team)
{
	make_pair(&member->random, team->pair);
	team->token = team->next_token++;
	team->full = stress_one_in(&member->random, 2);
	while (team->full && send(team->pair[0], &team->token, sizeof(team->token), MSG_DONTWAIT) > 0)
		;
	for (unsigned i = 0; i < WAITERS; i++) {
		team->ways[i] = (enum way)stress_below(&member->random, WAYS);
		rota_wait_group_add(&team->begun, 1);
	}
}

/* Opens others, and puts into each what is its own. */
static void close_and_open(struct member *member, struct team *team)
{
	const uint32_t fresh = team->next_token++;
	struct rota_op op;
	int pairs[2][2];

	if (stress_one_in(&member->random, 2))
		expect(send(team->pair[1], &team->token, sizeof(team->token), MSG_DONTWAIT), >, 0);
	if (stress_one_in(&member->random, 2))
		drain(team->pair[1], team->token);
	stress_pause(&member->random);
	rota_op_close(&op, team->pair[0]);
	expect(member_wait(member, &op.future), ==, 0);
	for (int i = 0; i < 2; i++) {
		make_pair(&member->random, pairs[i]);
		expect(send(pairs[i][1], &fresh, sizeof(fresh), 0), ==, (ssize_t)sizeof(fresh));
	}
	expect(rota_barrier_wait(&team->barrier), >=, 0); /* all have ended */
	for (int i = 0; i < 2; i++) {
		expect(drain(pairs[i][0], fresh), ==, 1);
		expect(drain(pairs[i][1], fresh), ==, 0);
		close(pairs[i][0]);
		close(pairs[i][1]);
	}
	drain(team->pair[1], team->token);
	close(team->pair[1]);
}

static void work(struct member *member)
{
	struct team *team = &((struct team *)member->crew->data)[member->number / (WAITERS + 1)];
	const unsigned number = member->number % (WAITERS + 1);

	for (unsigned turn = 0; turn < TURNS; turn++) {
		if (number == WAITERS)
			set_up(member, team);
		expect(rota_barrier_wait(&team->barrier), >=, 0);
		if (number == WAITERS) {
			expect(rota_wait_group_wait(&team->begun), ==, 0);
			close_and_open(member, team);
		} else {
			wait_for_it(member, team, number);
			expect(rota_barrier_wait(&team->barrier), >=, 0);
		}
		stress_moved();
	}
}

int main(int argc, char **argv)
{
	static struct team teams[TEAMS];
	struct stress_random random;
	unsigned descriptors;

	stress_start(argc, argv, crew_report);
	random = stress_random_new(0);
	descriptors = stress_descriptors();
	for (unsigned round = 0; round < ROUNDS * stress_scale; round++) {
		struct crew crew;

		for (unsigned i = 0; i < TEAMS; i++) {
			teams[i] = (struct team){ .next_token = (i + 1) << 24 };
			teams[i].begun = (struct rota_wait_group)ROTA_WAIT_GROUP_INIT;
			expect(rota_barrier_init(&teams[i].barrier, WAITERS + 1), ==, 0);
		}
		crew_init(&crew, MEMBERS, &random);
		crew_work(&crew, work, teams);
		crew_free(&crew);
		expect(stress_descriptors(), ==, descriptors);
	}
	return 0;
}
