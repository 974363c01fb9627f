/* SPDX-License-Identifier: MIT */
/*
 * A ring and its owner, alone: wakes that come before, while and after it waits; letters from other threads; another
 * thread that takes completions in the owner's place, all the time; entries to the kernel that fail; operations that the
 * kernel answers with "not now".
 */
#define _GNU_SOURCE
#include <linux/fs.h>
#include <poll.h>
#include <sys/mman.h>

#include "../../io/fd_hint_internal.h"
#include "../../io/ring_parts_internal.h"
#include "ring_owner.h"

/* --- beginning and end ---------------------------------------------------------------------------------------------- */

UNIT_TEST(ring, leaves_nothing_behind)
{
	static const enum rota__fault_kind kinds[] = { ROTA__FAULT_EVENTFD, ROTA__FAULT_RING };
	const unsigned before = unit_descriptors();
	struct rota__ring ring;

	for (unsigned entries = 1; entries <= 256; entries++) {
		expect(rota__ring_init(&ring, entries, entries % 2 == 0), ==, 0);
		rota__ring_turn(&ring, 0);
		rota__ring_deinit(&ring);
	}
	for (int i = 0; i < 2; i++) {
		rota__fault_arm(kinds[i], 1, -EMFILE);
		expect(rota__ring_init(&ring, 8, false), ==, -EMFILE);
	}
	expect(unit_descriptors(), ==, before);
}

/* A runtime that cannot have all its rings is not made, and nothing of it stays. */
UNIT_TEST(ring, runtime_without_rings)
{
	static const enum rota__fault_kind kinds[] = { ROTA__FAULT_EVENTFD, ROTA__FAULT_RING, ROTA__FAULT_THREAD };
	const struct rota_config config = { .workers = 2, .backend = ROTA_BACKEND_IO_URING };
	const unsigned before = unit_descriptors();
	const unsigned threads = unit_threads();
	unsigned failed = 0;

	for (int i = 0; i < 3; i++) {
		for (uint32_t nth = 1; nth <= 5; nth++) {
			rota_runtime *rt = NULL;
			int rc;

			rota__fault_arm(kinds[i], nth, -EMFILE);
			rc = rota_runtime_new(&rt, &config);
			rota__fault_arm(kinds[i], 0, 0);
			if (rc == 0) {
				place_runtime_free(rt);
				continue;
			}
			expect_pointer(rt, ==, NULL);
			failed++;
		}
	}
	expect(failed, >=, 9); /* the reactor and two workers */
	expect(unit_descriptors(), ==, before);
	expect_eventually(unit_threads() == threads); /* a thread that was joined is listed for a moment */
}

/* --- operations -------------------------------------------------------------------------------------------------------- */

UNIT_TEST(ring, operations_end_in_turns)
{
	struct rota__ring ring;
	struct rota_op op[3];
	char byte[3] = "";
	int fds[2];

	plain_pipe(fds);
	expect(rota__ring_init(&ring, 8, false), ==, 0);
	rota_op_read(&op[0], fds[0], &byte[0], 1, -1);
	rota_op_write(&op[1], fds[1], "ab", 2, -1);
	rota_op_read(&op[2], fds[0], &byte[2], 1, -1);
	submit(&ring, &op[0]);
	rota__ring_turn(&ring, 0);
	expect(rota__slot_fired(&op[0].state_), ==, false);
	submit(&ring, &op[1]);
	submit(&ring, &op[2]);
	for (int i = 0; i < 3; i++)
		expect(finish(&ring, &op[i]), ==, i == 1 ? 2 : 1);
	expect(byte[0] + byte[2], ==, 'a' + 'b');
	rota__ring_deinit(&ring);
	plain_close(fds);
}

/* A disk is not kept waiting until all is submitted that tasks begin. */
UNIT_TEST(ring, operations_on_files_are_submitted_in_fours)
{
	const int fd = memfd_create("rota-ring", MFD_CLOEXEC);
	struct rota__ring ring;
	struct rota_op op[4];
	char byte[4];

	expect(fd, >=, 0);
	expect(write(fd, "abcd", 4), ==, 4);
	expect(rota__ring_init(&ring, 8, false), ==, 0);
	for (unsigned i = 0; i < 4; i++) {
		rota_op_read(&op[i], fd, &byte[i], 1, i);
		submit(&ring, &op[i]);
		rota__ring_submit_files(&ring);
		expect(rota__ring_unconsumed(&ring), ==, (i + 1) % 4);
	}
	for (int i = 0; i < 4; i++)
		expect(finish(&ring, &op[i]), ==, 1);
	expect(memcmp(byte, "abcd", 4), ==, 0);
	rota__ring_deinit(&ring);
	close(fd);
}

/* Receives on a socket that is known to be a connection; whether it was polled first. */
static bool receive(struct rota__ring *ring, int fd, size_t room, int flags, int expected)
{
	struct rota_op op;
	char buffer[8];

	rota_op_recv(&op, fd, buffer, room, flags);
	submit(ring, &op);
	expect(finish(ring, &op), ==, expected);
	return (op.ioprio_ & IORING_RECVSEND_POLL_FIRST) != 0;
}

/* The same of two bytes that come only when it has waited for a turn. */
static bool receive_later(struct rota__ring *ring, const int fds[2])
{
	struct rota_op op;
	char buffer[8];

	rota_op_recv(&op, fds[0], buffer, sizeof(buffer), 0);
	submit(ring, &op);
	rota__ring_turn(ring, 0);
	expect(rota__slot_fired(&op.state_), ==, false);
	expect(write(fds[1], "xy", 2), ==, 2);
	expect(finish(ring, &op), ==, 2);
	return (op.ioprio_ & IORING_RECVSEND_POLL_FIRST) != 0;
}

UNIT_TEST(ring, connection_on_which_a_receive_has_waited_is_polled_first)
{
	struct rota__ring ring;
	int fds[2];

	plain_connection(fds);
	expect(rota__ring_init(&ring, 8, false), ==, 0);
	expect(write(fds[1], "abcdef", 6), ==, 6);
	expect(receive(&ring, fds[0], 1, 0, 1), ==, false); /* nothing is known of it */
	rota__fd_connected(fds[0]);
	expect(receive(&ring, fds[0], 1, 0, 1), ==, true);
	expect(receive(&ring, fds[0], 2, 0, 2), ==, false); /* something was left */
	expect(receive(&ring, fds[0], 8, 0, 2), ==, false);
	expect(receive_later(&ring, fds), ==, false); /* nothing was, but it had been there at once */
	expect(receive_later(&ring, fds), ==, true);
	expect(write(fds[1], "gh", 2), ==, 2);
	expect(receive(&ring, fds[0], 8, 0, 2), ==, true);
	expect(receive(&ring, fds[0], 8, MSG_DONTWAIT, -EAGAIN), ==, false);
	expect(receive_later(&ring, fds), ==, false);
	expect(shutdown(fds[1], SHUT_WR), ==, 0);
	expect(receive(&ring, fds[0], 8, 0, 0), ==, true);
	rota__fd_forget(fds[0]);
	expect(receive(&ring, fds[0], 8, 0, 0), ==, false);
	rota__ring_deinit(&ring);
	plain_close(fds);
}

/* An executor whose wakers write down in which order they were woken. */
static char woken_in_order[8];

static void *same(void *data)
{
	return data;
}

static void note(void *data)
{
	strncat(woken_in_order, data, 1);
}

static void ignore(void *data)
{
	(void)data;
}

static void submit_named(struct rota__ring *ring, struct rota_op *op, const char *name)
{
	static const struct rota_waker_ops ops = { .clone = same, .wake = note, .wake_by_ref = note, .drop = ignore };
	const struct rota_waker waker = { &ops, (void *)(uintptr_t)name };

	submit(ring, op);
	rota__waker_hold(&op->waker_, &waker); /* in place of the thread's, which is borrowed */
}

/* Whoever has received something may be about to send what the others, who have sent, wait for next. */
UNIT_TEST(ring, who_has_received_is_woken_before_who_has_sent)
{
	struct rota_op send[2], receive;
	struct msghdr message = { .msg_iov = &(struct iovec){ "b", 1 }, .msg_iovlen = 1 };
	struct rota__ring ring;
	char buffer[2];
	int fds[2];

	plain_pair(fds);
	expect(rota__ring_init(&ring, 8, false), ==, 0);
	rota_op_send(&send[0], fds[1], "a", 1, 0);
	rota_op_sendmsg(&send[1], fds[1], &message, 0);
	rota_op_recv(&receive, fds[0], buffer, sizeof(buffer), MSG_WAITALL);
	submit_named(&ring, &send[0], "1");
	submit_named(&ring, &send[1], "2");
	submit_named(&ring, &receive, "r");
	expect(finish(&ring, &receive), ==, 2);
	expect(finish(&ring, &send[0]), ==, 1);
	expect(finish(&ring, &send[1]), ==, 1);
	expect_text(woken_in_order, "r12");
	rota__ring_deinit(&ring);
	plain_close(fds);
}

/* A socket of a kind that has no poll is asked in the plain way from then on. */
UNIT_TEST(ring, socket_that_cannot_be_polled)
{
	int fds[2], res = -EAGAIN;
	struct rota_op op;
	char byte;

	plain_pair(fds);
	rota__fd_connected(fds[0]);
	rota_op_recv(&op, fds[0], &byte, 1, 0);
	expect(rota__op_polls_first(&op), ==, true);
	op.ioprio_ = IORING_RECVSEND_POLL_FIRST;
	expect(rota__op_again(&op, &res), ==, ROTA__MAIL_SUBMIT);
	expect(rota__op_polls_first(&op), ==, false);
	expect(op.ioprio_, ==, 0);
	expect(rota__op_again(&op, &res), ==, ROTA__MAIL_POLL);
	plain_close(fds);
}

static enum rota__op_mail again(struct rota_op *op, int res)
{
	return rota__op_again(op, &res);
}

/* What was interrupted, in whichever way the kernel says it, is made again; what it then says is left alone. */
UNIT_TEST(ring, interrupted)
{
	static const int interruptions[] = { -EINTR, -512, -513, -514, -516 };
	struct sockaddr_in address = { .sin_family = AF_INET };
	struct rota_op op;
	char byte;

	for (unsigned i = 0; i < sizeof(interruptions) / sizeof(interruptions[0]); i++) {
		const int res = interruptions[i];

		rota_op_read(&op, 0, &byte, 1, -1);
		expect(again(&op, res), ==, ROTA__MAIL_SUBMIT);
		rota_op_connect(&op, 0, (struct sockaddr *)&address, sizeof(address));
		expect(again(&op, res), ==, ROTA__MAIL_POLL); /* it goes on by itself */
		rota_op_close(&op, 0);
		expect(again(&op, res), ==, ROTA__MAIL_NONE); /* it is closed all the same */
	}
	rota_op_read(&op, 0, &byte, 1, -1);
	expect(again(&op, -ECANCELED), ==, ROTA__MAIL_SUBMIT); /* its thread has ended; nobody has asked for that */
	expect(again(&op, -511), ==, ROTA__MAIL_NONE);
	expect(again(&op, -517), ==, ROTA__MAIL_NONE);
	expect(again(&op, -EIO), ==, ROTA__MAIL_NONE);
}

/* What other tests hide is refused, as an older kernel does it. */
UNIT_TEST(ring, opcode_that_is_hidden)
{
	struct rota__ring ring;
	struct rota_op op;
	char byte;
	int fds[2];

	plain_pipe(fds);
	expect(write(fds[1], "x", 1), ==, 1);
	expect(rota__ring_init(&ring, 8, false), ==, 0);
	rota_op_read(&op, fds[0], &byte, 1, -1);
	rota__sys_ring_hide((uint64_t)1 << IORING_OP_READ);
	submit(&ring, &op);
	expect(finish(&ring, &op), ==, -EINVAL);
	rota__sys_ring_hide(0);
	rota_op_read(&op, fds[0], &byte, 1, -1);
	submit(&ring, &op);
	expect(finish(&ring, &op), ==, 1);
	rota__ring_deinit(&ring);
	plain_close(fds);
}

/* Polls of one pipe, more than a completion queue of two has room for, all of which are ready at once. */
static void overflow(struct rota__ring *ring, struct rota_op *op, int many, int ret_fds[2])
{
	plain_pipe(ret_fds);
	expect(rota__ring_init(ring, 1, false), ==, 0);
	for (int i = 0; i < many; i++) {
		rota_op_poll(&op[i], ret_fds[0], POLLIN);
		submit(ring, &op[i]);
	}
	rota__ring_turn(ring, 0);
	expect(write(ret_fds[1], "x", 1), ==, 1);
}

/* More completions at once than the queue holds. */
UNIT_TEST(ring, overflow)
{
	enum { MANY = 200 };
	static struct rota_op op[MANY];
	struct rota__ring ring;
	int fds[2];

	overflow(&ring, op, MANY, fds);
	for (int i = 0; i < MANY; i++)
		expect(finish(&ring, &op[i]), ==, POLLIN);
	rota__ring_wake(&ring); /* still heard */
	rota__ring_turn(&ring, ROTA_NEVER);
	rota__ring_deinit(&ring);
	plain_close(fds);
}

/* An owner that has other work never waits: its turns alone fetch what the kernel has kept back. */
UNIT_TEST(ring, overflow_is_fetched_without_waiting)
{
	enum { MANY = 20 };
	struct rota_op op[MANY];
	struct rota__ring ring;
	unsigned ended = 0;
	int fds[2];

	overflow(&ring, op, MANY, fds);
	for (int i = 0; i < MANY; i++)
		ended += rota__ring_turn(&ring, 0); /* each has room for two */
	expect(ended, ==, MANY);
	for (int i = 0; i < MANY; i++)
		expect(finish(&ring, &op[i]), ==, POLLIN);
	rota__ring_deinit(&ring);
	plain_close(fds);
}

/* What older kernels say of a non-blocking descriptor: here the flag makes them say it. The ring waits until it can be,
 * and tries again; no byte is lost, and waiting is not trying all the time. */
UNIT_TEST(ring, not_now)
{
	struct rota__ring ring;
	struct rota_op op;
	char buf[8] = "";
	unsigned turns = 0;
	int fds[2];

	plain_pipe(fds);
	expect(rota__ring_init(&ring, 8, false), ==, 0);
	rota_op_read(&op, fds[0], buf, sizeof(buf), -1);
	op.flags_ = RWF_NOWAIT;
	submit(&ring, &op);
	for (int i = 0; i < 10; i++)
		turns += rota__ring_turn(&ring, 0);
	expect(turns, ==, 0);
	expect(rota__slot_fired(&op.state_), ==, false);
	expect(op.polling_, ==, true);
	expect(rota__load(&ring.mail, RELAXED) == NULL, ==, true); /* it is the kernel that waits */
	expect(write(fds[1], "xyz", 3), ==, 3);
	expect(finish(&ring, &op), ==, 3);
	plain_expect_bytes(buf, "xyz", 3);
	expect(plain_waiting(fds[0]), ==, 0);

	rota_op_read(&op, fds[0], buf, sizeof(buf), -1);
	op.flags_ = RWF_NOWAIT;
	submit(&ring, &op);
	rota__ring_turn(&ring, 0);
	cancel(&op);
	expect(finish(&ring, &op), ==, -ECANCELED);
	rota__ring_deinit(&ring);
	plain_close(fds);
}

/* It waits for room on a connection whose other side sends no more, and the kernel drops the poll, as when the thread that
 * submitted it ends: then the operation itself comes, as it is. A little room is not enough for a poll to report it. */
UNIT_TEST(ring, a_poll_for_changes_that_is_dropped)
{
	static char bytes[4096];
	struct rota__ring ring;
	struct rota_op op;
	int fds[2];

	plain_pair(fds);
	plain_fill(fds[1]);
	expect(shutdown(fds[0], SHUT_WR), ==, 0);
	expect(rota__ring_init(&ring, 8, false), ==, 0);
	rota_op_write(&op, fds[1], bytes, 100, -1);
	op.flags_ = RWF_NOWAIT;
	submit(&ring, &op);
	for (unsigned turn = 0; turn < 4; turn++)
		rota__ring_turn(&ring, 0);
	expect(read(fds[0], bytes, sizeof(bytes)), ==, sizeof(bytes));
	expect(rota__ring_put_cancel(&ring, &op), ==, true);
	expect(finish(&ring, &op), ==, 100);
	rota__ring_deinit(&ring);
	plain_close(fds);
}

/* --- entries that fail ------------------------------------------------------------------------------------------------- */

/* Operations that found no room wait in line; some are cancelled there. */
static void line_up(uint32_t nth, unsigned stride)
{
	enum { LINE = 12 };
	struct rota__ring ring;
	struct rota_op op[LINE];
	unsigned char byte[LINE];
	unsigned left = 0;
	int fds[2];

	plain_pipe(fds);
	expect(rota__ring_init(&ring, 1, false), ==, 0);
	rota__fault_arm(ROTA__FAULT_ENTER, nth, -EBUSY);
	memset(byte, 0xaa, sizeof(byte));
	for (unsigned i = 0; i < LINE; i++) {
		rota_op_read(&op[i], fds[0], &byte[i], 1, -1);
		submit(&ring, &op[i]);
	}
	for (unsigned i = 0; i < LINE; i++) {
		if (i % stride == 1)
			cancel(&op[i]);
		else
			left++;
	}
	for (unsigned i = 0; i < LINE; i++) {
		if (i % stride != 1)
			continue;
		expect(finish(&ring, &op[i]), ==, -ECANCELED);
		expect(byte[i], ==, 0xaa);
	}
	expect(write(fds[1], "0123456789ab", left), ==, left);
	for (unsigned i = 0; i < LINE; i++) {
		if (i % stride != 1)
			expect(finish(&ring, &op[i]), ==, 1);
	}
	expect(plain_waiting(fds[0]), ==, 0);
	rota__fault_arm(ROTA__FAULT_ENTER, 0, 0);
	rota__ring_deinit(&ring);
	plain_close(fds);
}

UNIT_TEST(ring, cancelled_in_the_line)
{
	for (uint32_t nth = 1; nth <= 12; nth++) {
		for (unsigned stride = 2; stride <= 4; stride++)
			line_up(nth, stride);
	}
}

struct sleeper {
	struct rota__ring ring;
	unsigned ready, told, heard, stop; /* atomic */
};

static void *wake_when_ready(void *arg)
{
	struct sleeper *s = arg;

	while (__atomic_load_n(&s->ready, __ATOMIC_ACQUIRE) == 0)
		sched_yield();
	usleep(1000); /* as a rule it sleeps by now */
	__atomic_store_n(&s->told, 1, __ATOMIC_RELEASE);
	rota__ring_wake(&s->ring);
	return NULL;
}

/* The entry that would have made room for the ring's own poll fails: wakes are still heard. */
UNIT_TEST(ring, wake_while_entries_fail)
{
	for (uint32_t nth = 1; nth <= 6; nth++) {
		struct sleeper s = { .told = 0 };
		struct rota_op op;
		pthread_t thread;
		char byte;
		int fds[2];

		plain_pipe(fds);
		expect(rota__ring_init(&s.ring, 1, false), ==, 0);
		expect(pthread_create(&thread, NULL, wake_when_ready, &s), ==, 0);
		rota_op_read(&op, fds[0], &byte, 1, -1);
		submit(&s.ring, &op); /* the submission queue is full now */
		rota__fault_arm(ROTA__FAULT_ENTER, nth, -EAGAIN);
		__atomic_store_n(&s.ready, 1, __ATOMIC_RELEASE);
		while (__atomic_load_n(&s.told, __ATOMIC_ACQUIRE) == 0)
			rota__ring_turn(&s.ring, ROTA_NEVER);
		pthread_join(thread, NULL);
		expect(write(fds[1], "x", 1), ==, 1);
		expect(finish(&s.ring, &op), ==, 1);
		rota__fault_arm(ROTA__FAULT_ENTER, 0, 0);
		rota__ring_deinit(&s.ring);
		plain_close(fds);
	}
}

/* --- other threads ----------------------------------------------------------------------------------------------------- */

enum { WAKES = 2000 };

/* Tells the owner something, and waits until it has heard. */
static void *tell(void *arg)
{
	struct sleeper *s = arg;

	for (unsigned i = 1; i <= WAKES; i++) {
		__atomic_store_n(&s->told, i, __ATOMIC_RELEASE);
		rota__ring_wake(&s->ring);
		while (__atomic_load_n(&s->heard, __ATOMIC_ACQUIRE) != i)
			sched_yield();
	}
	return NULL;
}

static void *rescue_all_the_time(void *arg)
{
	struct sleeper *s = arg;

	while (__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE) == 0) {
		rota__ring_rescue(&s->ring, NULL);
		sched_yield();
	}
	return NULL;
}

/* As a worker does it: look, and if there is nothing sleep without limit. Between the two is some time, in which what
 * there is to hear may come and be taken. */
static void listen_to(struct sleeper *s)
{
	unsigned heard = 0;
	unsigned turns = 0;

	while (heard < WAKES) {
		unsigned told = __atomic_load_n(&s->told, __ATOMIC_ACQUIRE);

		if (told != heard) {
			heard = told;
			__atomic_store_n(&s->heard, heard, __ATOMIC_RELEASE);
		}
		for (unsigned n = ++turns % 64 * 40; n > 0; n--)
			rota__cpu_relax();
		if (heard < WAKES)
			rota__ring_turn(&s->ring, ROTA_NEVER);
	}
}

static void wakes_are_heard(bool rescued)
{
	struct sleeper s = { .told = 0 };
	pthread_t teller, rescuer;

	expect(rota__ring_init(&s.ring, 8, false), ==, 0);
	if (rescued)
		expect(pthread_create(&rescuer, NULL, rescue_all_the_time, &s), ==, 0);
	expect(pthread_create(&teller, NULL, tell, &s), ==, 0);
	listen_to(&s);
	pthread_join(teller, NULL);
	__atomic_store_n(&s.stop, 1, __ATOMIC_RELEASE);
	if (rescued)
		pthread_join(rescuer, NULL);
	rota__ring_deinit(&s.ring);
}

UNIT_TEST(ring, wakes_are_heard)
{
	wakes_are_heard(false);
}

UNIT_TEST(ring, wakes_are_heard_though_another_takes_the_completions)
{
	rota__sys_nudge_threads_register();
	wakes_are_heard(true);
}

static void *look_and_sleep(void *arg)
{
	struct sleeper *s = arg;

	expect(rota__ring_init(&s->ring, 8, false), ==, 0);
	rota__ring_turn(&s->ring, 0);
	expect(__atomic_load_n(&s->told, __ATOMIC_ACQUIRE), ==, 0);
	__atomic_store_n(&s->ready, 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&s->heard, __ATOMIC_ACQUIRE) == 0)
		rota__cpu_relax();
	rota__ring_turn(&s->ring, ROTA_NEVER); /* it has not heard yet: this returns */
	rota__ring_deinit(&s->ring);
	return NULL;
}

/* The wake comes, and is taken by another, after the owner has looked and before it sleeps. */
UNIT_TEST(ring, a_wake_that_another_has_taken)
{
	struct sleeper s = { .told = 0 };
	pthread_t owner;

	rota__sys_nudge_threads_register();
	expect(pthread_create(&owner, NULL, look_and_sleep, &s), ==, 0);
	expect_eventually(__atomic_load_n(&s.ready, __ATOMIC_ACQUIRE) != 0);
	__atomic_store_n(&s.told, 1, __ATOMIC_RELEASE);
	rota__ring_wake(&s.ring);
	for (int i = 0; i < 100; i++) {
		rota__ring_rescue(&s.ring, NULL);
		usleep(100);
	}
	__atomic_store_n(&s.heard, 1, __ATOMIC_RELEASE);
	pthread_join(owner, NULL);
}

/* Reads that are told "not now" again and again, while another thread takes the completions. */
UNIT_TEST(ring, not_now_while_another_takes_the_completions)
{
	struct sleeper s = { .told = 0 };
	pthread_t rescuer;
	int fds[2];

	plain_pipe(fds);
	rota__sys_nudge_threads_register();
	expect(rota__ring_init(&s.ring, 8, false), ==, 0);
	expect(pthread_create(&rescuer, NULL, rescue_all_the_time, &s), ==, 0);
	for (int i = 0; i < 3000; i++) {
		struct rota_op op;
		char byte = 0;

		rota_op_read(&op, fds[0], &byte, 1, -1);
		op.flags_ = RWF_NOWAIT;
		submit(&s.ring, &op);
		rota__ring_turn(&s.ring, 0);
		expect(write(fds[1], "x", 1), ==, 1);
		/* Who ends it wakes the operation's waker, not the ring: the owner may sleep only for a while. */
		while (!rota__slot_fired(&op.state_))
			rota__ring_turn(&s.ring, ROTA_MS(1));
		expect(op.future.status, ==, 1);
		expect(byte, ==, 'x');
	}
	__atomic_store_n(&s.stop, 1, __ATOMIC_RELEASE);
	pthread_join(rescuer, NULL);
	rota__ring_deinit(&s.ring);
	plain_close(fds);
}

enum { LETTERS = 4000 };

struct post {
	struct sleeper s;
	struct rota_op op[LETTERS];
	char byte[LETTERS];
	int fds[2];
};

static void *send_letters(void *arg)
{
	struct post *post = arg;

	for (int i = 0; i < LETTERS; i++) {
		rota_op_read(&post->op[i], post->fds[0], &post->byte[i], 1, -1);
		make_ready(&post->op[i]);
		rota__store(&post->op[i].carrier_, &post->s.ring, RELAXED);
		rota__ring_mail(&post->s.ring, &post->op[i], ROTA__MAIL_SUBMIT);
		rota__ring_wake(&post->s.ring);
		if (i % 3 == 1)
			cancel(&post->op[i]);
		else
			expect(write(post->fds[1], "x", 1), ==, 1);
	}
	__atomic_store_n(&post->s.told, 1, __ATOMIC_RELEASE);
	rota__ring_wake(&post->s.ring);
	return NULL;
}

/* Another thread sends operations and cancels some of them. A byte that a cancelled one took is one that another will not
 * get: those who are left over then get one more. */
UNIT_TEST(ring, letters)
{
	struct post *post = calloc(1, sizeof(*post));
	unsigned taken = 0, cancelled = 0;
	pthread_t sender;

	plain_pipe(post->fds);
	expect(rota__ring_init(&post->s.ring, 4, false), ==, 0);
	expect(pthread_create(&sender, NULL, send_letters, post), ==, 0);
	while (__atomic_load_n(&post->s.told, __ATOMIC_ACQUIRE) == 0)
		rota__ring_turn(&post->s.ring, ROTA_NEVER);
	pthread_join(sender, NULL);
	for (int i = 1; i < LETTERS; i += 3) {
		if (finish(&post->s.ring, &post->op[i]) == 1)
			expect(write(post->fds[1], "x", 1), ==, 1);
		else
			expect(post->op[i].future.status, ==, -ECANCELED);
		cancelled += post->op[i].future.status < 0;
	}
	for (int i = 0; i < LETTERS; i++) {
		taken += finish(&post->s.ring, &post->op[i]) == 1;
		expect(post->byte[i], ==, post->op[i].future.status == 1 ? 'x' : 0);
	}
	expect(taken + cancelled, ==, LETTERS);
	expect(plain_waiting(post->fds[0]), ==, 0);
	rota__ring_deinit(&post->s.ring);
	plain_close(post->fds);
	free(post);
}
