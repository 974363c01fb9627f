/* SPDX-License-Identifier: MIT */
/*
 * Pairs of members: one sends numbered datagrams, the other takes them, and both change their minds all the time.
 *
 * UDP, in batches: each datagram comes once at most and as it was sent; what was sent and did not come, the kernel says it
 * has dropped. Unix datagrams and packets, with descriptors: all come, in order, each with the descriptors that it was sent
 * with and no others; none is left open.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../io/fd.h"
#include "../../io/udp.h"
#include "../../io/unix.h"
#include "crew.h"

#define PAIRS 4u
#define ROUNDS STRESS_FEWER(16u)
#define DATAGRAMS 400u
#define BATCH 24u
#define LONGEST 300u
#define PASSED 5u

struct pair {
	bool udp;
	int fds[2]; /* to send; to receive */
	struct rota_address to;
	struct rota_atomic_u32 over;
	uint32_t sent;
	unsigned char came[DATAGRAMS];
	int files[PASSED]; /* to be passed on */
	ino_t inodes[PASSED];
};

/* The n-th datagram: its number, then bytes that follow from it. */
static size_t length_of(uint32_t number)
{
	return sizeof(number) + number * 37 % (LONGEST - sizeof(number));
}

static void fill(unsigned char *bytes, uint32_t number)
{
	memcpy(bytes, &number, sizeof(number));
	for (size_t i = sizeof(number); i < length_of(number); i++)
		bytes[i] = (unsigned char)(number + i);
}

static uint32_t check(const unsigned char *bytes, size_t len)
{
	uint32_t number;

	expect(len, >=, sizeof(number));
	memcpy(&number, bytes, sizeof(number));
	expect(number, <, DATAGRAMS);
	expect(len, ==, length_of(number));
	for (size_t i = sizeof(number); i < len; i++)
		expect(bytes[i], ==, (unsigned char)(number + i));
	return number;
}

static bool nothing_more(struct pair *pair)
{
	struct pollfd pfd = { .fd = pair->fds[1], .events = POLLIN };

	return rota__load(&pair->over, ACQUIRE) && poll(&pfd, 1, 0) == 0;
}

/* --- UDP ---------------------------------------------------------------------------------------------------------- */

static void send_batches(struct member *member, struct pair *pair)
{
	unsigned char bytes[BATCH][LONGEST];
	struct rota_datagram datagrams[BATCH];
	struct rota_udp_batch_op op;

	while (pair->sent < DATAGRAMS) {
		unsigned n = 1 + stress_below(&member->random, BATCH);
		int rc;

		if (n > DATAGRAMS - pair->sent)
			n = DATAGRAMS - pair->sent;
		for (unsigned i = 0; i < n; i++) {
			fill(bytes[i], pair->sent + i);
			datagrams[i] = (struct rota_datagram){ .data = bytes[i],
							       .len = length_of(pair->sent + i),
							       .address = pair->to };
		}
		rota_op_udp_send(&op, pair->fds[0], datagrams, n);
		rc = member_wait_maybe(member, &op.future);
		if (rc < 0)
			expect(rc, ==, -ECANCELED);
		else
			pair->sent += (uint32_t)rc;
		stress_moved();
		stress_pause(&member->random);
	}
}

static void take_batches(struct member *member, struct pair *pair)
{
	unsigned char bytes[BATCH][LONGEST];
	struct rota_datagram datagrams[BATCH];
	struct rota_udp_batch_op op;

	while (!nothing_more(pair)) {
		const unsigned n = 1 + stress_below(&member->random, BATCH);
		int rc;

		for (unsigned i = 0; i < n; i++)
			datagrams[i] = (struct rota_datagram){ .data = bytes[i], .size = LONGEST };
		rota_op_udp_recv(&op, pair->fds[1], datagrams, n);
		rc = member_wait_maybe(member, &op.future);
		if (rc < 0) {
			expect(rc, ==, -ECANCELED);
			continue;
		}
		expect(rc, <=, (int)n);
		for (int i = 0; i < rc; i++) {
			expect(datagrams[i].truncated, ==, false);
			expect(pair->came[check(bytes[i], datagrams[i].len)]++, ==, 0);
		}
		stress_pause(&member->random);
	}
}

static uint32_t dropped_at(int fd)
{
	uint32_t numbers[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(numbers);

	expect(getsockopt(fd, SOL_SOCKET, SO_MEMINFO, numbers, &len), ==, 0);
	return numbers[SK_MEMINFO_DROPS];
}

static void check_udp(const struct pair *pair)
{
	uint32_t came = 0;

	for (unsigned i = 0; i < DATAGRAMS; i++)
		came += pair->came[i];
	expect(pair->sent, ==, DATAGRAMS);
	expect(came + dropped_at(pair->fds[1]), ==, DATAGRAMS);
}

/* --- Unix --------------------------------------------------------------------------------------------------------- */

/* Which descriptors go with the n-th. */
static unsigned passed_with(uint32_t number)
{
	return number % (PASSED + 1);
}

static void send_packets(struct member *member, struct pair *pair)
{
	unsigned char bytes[LONGEST];
	struct rota_unix_op op;

	while (pair->sent < DATAGRAMS) {
		int rc;

		fill(bytes, pair->sent);
		rota_op_unix_send(&op, pair->fds[0], bytes, length_of(pair->sent), pair->files, passed_with(pair->sent));
		rc = member_wait_maybe(member, &op.future);
		if (rc < 0) {
			/* ETOOMANYREFS: the receiver is slow, and the limit is that of open files. */
			expect(rc == -ECANCELED || rc == -ETOOMANYREFS, ==, true);
			continue;
		}
		expect(rc, ==, (int)length_of(pair->sent));
		pair->sent++;
		stress_moved();
		stress_pause(&member->random);
	}
}

static void check_files(const struct pair *pair, const int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct stat status;

		expect(fstat(fds[i], &status), ==, 0);
		expect(status.st_ino, ==, pair->inodes[i]);
		expect(fcntl(fds[i], F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
		expect(close(fds[i]), ==, 0);
	}
}

static void take_packets(struct member *member, struct pair *pair)
{
	unsigned char bytes[LONGEST];
	struct rota_unix_received received;
	struct rota_unix_op op;
	int fds[PASSED];

	for (uint32_t number = 0; number < DATAGRAMS;) {
		/* At times there is room for fewer than come: the rest is closed. */
		const unsigned room = stress_below(&member->random, PASSED + 1), come = passed_with(number);
		int rc;

		rota_op_unix_recv(&op, pair->fds[1], bytes, sizeof(bytes), fds, room, &received);
		rc = member_wait_maybe(member, &op.future);
		if (rc < 0) {
			expect(rc, ==, -ECANCELED);
			continue;
		}
		expect(check(bytes, (size_t)rc), ==, number);
		expect(received.truncated, ==, false);
		expect(received.fds, ==, come < room ? come : room);
		expect(received.fds_lost, ==, come > room);
		check_files(pair, fds, received.fds);
		number++;
		stress_pause(&member->random);
	}
}

/* --- both ----------------------------------------------------------------------------------------------------------- */

static void work(struct member *member)
{
	struct pair *pair = &((struct pair *)member->crew->data)[member->number / 2];

	if (member->number % 2 == 0) {
		if (pair->udp)
			send_batches(member, pair);
		else
			send_packets(member, pair);
		rota__store(&pair->over, 1, RELEASE);
	} else if (pair->udp) {
		take_batches(member, pair);
	} else {
		take_packets(member, pair);
	}
}

/* A small buffer drops some. */
static void open_udp(struct stress_random *random, struct pair *pair)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const int small = 4096;

	pair->to.len = sizeof(address);
	for (int i = 0; i < 2; i++)
		expect(pair->fds[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), >=, 0);
	if (stress_one_in(random, 2))
		expect(setsockopt(pair->fds[1], SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), ==, 0);
	expect(bind(pair->fds[1], (struct sockaddr *)&address, sizeof(address)), ==, 0);
	expect(getsockname(pair->fds[1], (struct sockaddr *)&pair->to.addr, &pair->to.len), ==, 0);
}

static void open_unix(struct stress_random *random, struct pair *pair)
{
	const int type = stress_one_in(random, 2) ? SOCK_DGRAM : SOCK_SEQPACKET;

	expect(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair->fds), ==, 0);
	for (unsigned i = 0; i < PASSED; i++) {
		struct stat status;

		expect(pair->files[i] = memfd_create("passed", MFD_CLOEXEC), >=, 0);
		expect(fstat(pair->files[i], &status), ==, 0);
		pair->inodes[i] = status.st_ino;
	}
}

static void pair_open(struct stress_random *random, struct pair *pair)
{
	*pair = (struct pair){ .udp = stress_one_in(random, 2) };
	if (pair->udp)
		open_udp(random, pair);
	else
		open_unix(random, pair);
	for (int i = 0; i < 2; i++) {
		if (stress_one_in(random, 2))
			expect(fcntl(pair->fds[i], F_SETFL, O_NONBLOCK), ==, 0);
	}
}

static void pair_close(struct pair *pair)
{
	if (pair->udp)
		check_udp(pair);
	for (int i = 0; i < 2; i++)
		close(pair->fds[i]);
	for (unsigned i = 0; i < PASSED && !pair->udp; i++)
		close(pair->files[i]);
}

int main(int argc, char **argv)
{
	static struct pair pairs[PAIRS];
	struct stress_random random;
	unsigned descriptors;

	stress_start(argc, argv, crew_report);
	random = stress_random_new(0);
	descriptors = stress_descriptors();
	for (unsigned round = 0; round < ROUNDS * stress_scale; round++) {
		struct crew crew;

		for (unsigned i = 0; i < PAIRS; i++)
			pair_open(&random, &pairs[i]);
		crew_init(&crew, PAIRS * 2, &random);
		crew_work(&crew, work, pairs);
		crew_free(&crew);
		for (unsigned i = 0; i < PAIRS; i++)
			pair_close(&pairs[i]);
		expect(stress_descriptors(), ==, descriptors);
	}
	return 0;
}
