/* SPDX-License-Identifier: MIT */
/*
 * Operations that are cancelled at every moment, by those who await them, by timers, by others who cancel the whole task.
 * Tokens circulate through pipes and sockets: a read that is cancelled has taken no token, or says that it has. Each
 * buffer is poisoned as soon as its operation has ended, and whatever the kernel writes later is found out. Connections are
 * accepted once, and no descriptor is left behind.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crew.h"

#define MEMBERS 16u
#define ROUNDS STRESS_FEWER(32u)
#define TOKENS 64u
#define TURNS 150u
#define CHANNELS 4u
#define BUFFERS 64u
#define POISON 0x5a

/* --- buffers ----------------------------------------------------------------------------------------------------------- */

/* A member's buffers, in turn: an old one is looked at before it is used again. */
struct buffers {
	unsigned char bytes[BUFFERS][16];
	unsigned next;
};

static unsigned char *buffer_get(struct buffers *buffers)
{
	unsigned char *bytes = buffers->bytes[buffers->next++ % BUFFERS];

	for (unsigned i = 0; i < 16; i++)
		expect(bytes[i], ==, POISON);
	memset(bytes, 0, 16);
	return bytes;
}

static void buffer_put(unsigned char *bytes)
{
	memset(bytes, POISON, 16);
}

static void buffers_check(struct buffers *buffers)
{
	for (unsigned i = 0; i < BUFFERS; i++)
		buffer_get(buffers);
}

/* --- tokens ------------------------------------------------------------------------------------------------------------ */

struct game {
	int fds[CHANNELS][2]; /* tokens go in at [1] and come out at [0] */
	bool sockets[CHANNELS];
	struct rota_atomic_u32 owners[TOKENS]; /* how many members hold it */
	int listener;
	struct sockaddr_in address;
	struct rota_atomic_u32 connected, accepted;
	struct rota_atomic_u32 lost; /* cancelled waits: for the report only */
};

static int wait_some_way(struct member *member, struct rota_op *op)
{
	if (stress_one_in(&member->random, 3))
		return member_wait(member, &op->future);
	return member_wait_maybe(member, &op->future);
}

/* A token that was read is in nobody else's hands. */
static void take_token(struct game *game, const unsigned char *bytes, uint32_t *ret_token)
{
	memcpy(ret_token, bytes, sizeof(*ret_token));
	expect(*ret_token, <, TOKENS);
	expect(rota__fetch_add(&game->owners[*ret_token], 1, SEQ_CST), ==, 0);
}

static bool read_token(struct member *member, struct game *game, struct buffers *buffers, uint32_t *ret_token)
{
	unsigned from = stress_below(&member->random, CHANNELS);
	unsigned char *bytes = buffer_get(buffers);
	struct rota_op op;
	int n;

	if (game->sockets[from] && stress_one_in(&member->random, 2))
		rota_op_recv(&op, game->fds[from][0], bytes, sizeof(*ret_token), 0);
	else
		rota_op_read(&op, game->fds[from][0], bytes, sizeof(*ret_token), -1);
	/* There may be no token for long: this one is always given up in the end. */
	n = member_wait_maybe(member, &op.future);
	if (n == (int)sizeof(*ret_token)) {
		take_token(game, bytes, ret_token);
	} else {
		expect(n, ==, -ECANCELED);
		for (unsigned i = 0; i < 16; i++)
			expect(bytes[i], ==, 0);
		rota__fetch_add(&game->lost, 1, RELAXED);
	}
	buffer_put(bytes);
	return n > 0;
}

static void write_token(struct member *member, struct game *game, uint32_t token)
{
	struct rota_op op;
	int n;

	rota__fetch_sub(&game->owners[token], 1, SEQ_CST);
	do {
		unsigned to = stress_below(&member->random, CHANNELS);

		if (game->sockets[to] && stress_one_in(&member->random, 2))
			rota_op_send(&op, game->fds[to][1], &token, sizeof(token), 0);
		else
			rota_op_write(&op, game->fds[to][1], &token, sizeof(token), -1);
		n = wait_some_way(member, &op);
		if (n != (int)sizeof(token))
			expect(n, ==, -ECANCELED);
	} while (n < 0);
}

/* --- connections --------------------------------------------------------------------------------------------------------- */

static void connect_or_not(struct member *member, struct game *game)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct rota_op op;
	int rc;

	expect(fd, >=, 0);
	rota_op_connect(&op, fd, (struct sockaddr *)&game->address, sizeof(game->address));
	rc = wait_some_way(member, &op);
	if (rc == 0)
		rota__fetch_add(&game->connected, 1, SEQ_CST);
	else
		expect(rc, ==, -ECANCELED);
	rota_op_close(&op, fd);
	expect(member_wait(member, &op.future), ==, 0);
}

static void accept_or_not(struct member *member, struct game *game)
{
	struct rota_op op;
	int fd;

	rota_op_accept(&op, game->listener, NULL, NULL);
	fd = member_wait_maybe(member, &op.future);
	if (fd >= 0) {
		rota__fetch_add(&game->accepted, 1, SEQ_CST);
		rota_op_close(&op, fd);
		expect(member_wait(member, &op.future), ==, 0);
	} else {
		expect(fd, ==, -ECANCELED);
	}
}

static void poll_or_not(struct member *member, struct game *game)
{
	struct rota_op op;
	int events;

	rota_op_poll(&op, game->fds[stress_below(&member->random, CHANNELS)][0], POLLIN);
	events = member_wait_maybe(member, &op.future);
	if (events != POLLIN)
		expect(events, ==, -ECANCELED);
}

static void open_or_not(struct member *member)
{
	struct rota_op op;
	int fd;

	rota_op_open(&op, "/dev/null", O_RDONLY, 0);
	fd = member_wait_maybe(member, &op.future);
	if (fd < 0) {
		expect(fd, ==, -ECANCELED);
		return;
	}
	/* Not by close(2): the thread sanitizer would see this end and not the beginning, and take it for a race. */
	rota_op_close(&op, fd);
	expect(member_wait(member, &op.future), ==, 0);
}

static void work(struct member *member)
{
	struct game *game = member->crew->data;
	struct buffers *buffers = malloc(sizeof(*buffers));
	uint32_t token;

	memset(buffers->bytes, POISON, sizeof(buffers->bytes));
	buffers->next = 0;
	for (unsigned i = 0; i < TURNS; i++) {
		uint32_t dice = stress_below(&member->random, 16);

		if (dice < 11) {
			if (read_token(member, game, buffers, &token))
				write_token(member, game, token);
		} else if (dice < 12) {
			connect_or_not(member, game);
		} else if (dice < 14) {
			accept_or_not(member, game);
		} else if (dice < 15) {
			poll_or_not(member, game);
		} else {
			open_or_not(member);
		}
		stress_moved();
	}
	buffers_check(buffers);
	free(buffers);
}

/* --- tasks that are cancelled as a whole ---------------------------------------------------------------------------------- */

struct victim {
	struct game *game;
	unsigned channel;
	uint32_t token;
	rota_task *task;
};

static int victim_main(void *arg)
{
	struct victim *victim = arg;

	return (int)rota_read(victim->game->fds[victim->channel][0], &victim->token, sizeof(victim->token));
}

/* Spawns readers and cancels them, from wherever this runs; what they did read goes back. */
static void hunt(struct member *member)
{
	struct game *game = member->crew->data;

	for (unsigned i = 0; i < TURNS; i++) {
		struct victim victim = { .game = game, .channel = stress_below(&member->random, CHANNELS) };
		uint32_t token;
		int status;

		expect(rota_spawn_on(member->crew->rt, &victim.task, victim_main, &victim), ==, 0);
		if (member->kind == MEMBER_FIBER && stress_one_in(&member->random, 2))
			rota_yield();
		stress_pause(&member->random);
		expect(rota_cancel(victim.task), ==, 0);
		expect(rota_join(victim.task, &status), ==, 0);
		if (status < 0) {
			expect(status, ==, -ECANCELED);
		} else {
			expect(status, ==, sizeof(token));
			take_token(game, (unsigned char *)&victim.token, &token);
			write_token(member, game, token);
		}
		stress_moved();
	}
}

/* --- rounds --------------------------------------------------------------------------------------------------------------- */

static void game_init(struct game *game, struct stress_random *random)
{
	socklen_t len = sizeof(game->address);

	*game = (struct game){ .address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } } };
	for (unsigned i = 0; i < CHANNELS; i++) {
		game->sockets[i] = stress_one_in(random, 2);
		if (game->sockets[i])
			expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, game->fds[i]), ==, 0);
		else
			expect(pipe2(game->fds[i], O_CLOEXEC), ==, 0);
		if (stress_one_in(random, 2))
			fcntl(game->fds[i][0], F_SETFL, O_NONBLOCK);
	}
	game->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	expect(bind(game->listener, (struct sockaddr *)&game->address, len), ==, 0);
	expect(listen(game->listener, SOMAXCONN), ==, 0);
	expect(getsockname(game->listener, (struct sockaddr *)&game->address, &len), ==, 0);
	for (uint32_t token = 0; token < TOKENS; token++)
		expect(write(game->fds[token % CHANNELS][1], &token, sizeof(token)), ==, sizeof(token));
}

/* All tokens are in the channels, each once. */
static void count_tokens(struct game *game)
{
	uint32_t token, count = 0;

	for (unsigned i = 0; i < CHANNELS; i++) {
		fcntl(game->fds[i][0], F_SETFL, O_NONBLOCK);
		while (read(game->fds[i][0], &token, sizeof(token)) == sizeof(token)) {
			expect(token, <, TOKENS);
			expect(rota__fetch_add(&game->owners[token], 1, SEQ_CST), ==, 0);
			count++;
		}
		close(game->fds[i][0]);
		close(game->fds[i][1]);
	}
	expect(count, ==, TOKENS);
}

/* Those that connected and were not accepted still wait. A connect that was cancelled may have succeeded all the same. */
static void count_connections(struct game *game)
{
	uint32_t accepted = rota__load(&game->accepted, SEQ_CST);
	int fd;

	fcntl(game->listener, F_SETFL, O_NONBLOCK);
	while ((fd = accept4(game->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		accepted++;
		close(fd);
	}
	expect(accepted, >=, rota__load(&game->connected, SEQ_CST));
	close(game->listener);
}

int main(int argc, char **argv)
{
	struct stress_random random;
	unsigned descriptors;

	stress_start(argc, argv, crew_report);
	random = stress_random_new(0);
	descriptors = stress_descriptors();
	for (unsigned round = 0; round < ROUNDS * stress_scale; round++) {
		struct game game;
		struct crew crew;

		game_init(&game, &random);
		crew_init(&crew, 1 + stress_below(&random, MEMBERS), &random);
		crew_work(&crew, work, &game);
		crew_work(&crew, hunt, &game);
		crew_free(&crew);
		count_tokens(&game);
		count_connections(&game);
		expect(stress_descriptors(), ==, descriptors);
	}
	return 0;
}
