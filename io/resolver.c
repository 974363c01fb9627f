/* SPDX-License-Identifier: MIT */
/*
 * The resolver's lane: one for the process, since a thread that is stuck in getaddrinfo may outlive every runtime.
 *
 * A question is what is asked: host, service, flags. It is OPEN, in the table by its hash, from the first asker until its
 * answer is there: whoever asks the same meanwhile queues in `askers`, so that a name that is stuck keeps one thread and
 * not all of them. It is QUEUED at first, and freed when its last asker leaves; from when a thread takes it, it is that
 * thread's to free, and the askers that leave leave it running. All of that under the lane's one lock.
 *
 * The thread that has the answer closes the question, so that nobody joins it any more, then copies the answer to one
 * asker after the other, under the lock, which is how an asker that is cancelled knows whether its memory was written.
 * From the first grant to the last wake it delivers as outside_internal.h says.
 *
 * The threads are detached, belong to no runtime, and touch nothing but the lane, their question and who they wake.
 *
 * When a thread cannot be made and there is none, every question is refused. When there are others they may all be stuck, so
 * the lane is SHORT from then on, as long as a question is queued and there are not as many threads as there may be:
 * whoever asks meanwhile wakes the reactor of its runtime, which tries again now and then. A plain thread outside of any
 * runtime has none, and waits for the threads that there are, or for one that another asker has made.
 */
#include "resolve_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "../runtime/alloc_internal.h"
#include "../runtime/runtime_internal.h"
#include "../runtime/sys_internal.h"
#include "../runtime/waitlist_internal.h"
#include "after_fork_internal.h"
#include "outside_internal.h"
#include "sys_internal.h"

#define THREADS_MAX 4
#define IDLE_NS 1000000000u /* how long a thread without a question stays */
#define AGAIN_NS 10000000u  /* between two looks at a lane that is short */
#define BUCKETS 64
#define GRANTS_AT_ONCE 16 /* the lock is dropped in between */

struct question {
	struct question *bucket_next;
	struct question *queue_next, *queue_prev;
	struct rota_waitlist askers; /* the lane's lock guards it */
	uint32_t hash;
	unsigned flags;
	bool running;
	const char *host, *service; /* NULL, or in `text` */
	size_t size;                /* of all this */
	char text[];
};

static struct {
	struct rota_atomic_u32 lock;
	struct question *bucket[BUCKETS]; /* open ones */
	struct question *first, *last;    /* queued ones */
	unsigned threads;
	unsigned idle, notified;         /* threads without a question; of them, woken and not yet arrived */
	struct rota_atomic_u32 bell;     /* futex of idle threads: a sequence number */
	struct rota_atomic_u32 is_short; /* a thread could not be made; until there are enough, or nothing is queued */
	uint64_t again;                  /* when the next look is due at a lane that is short */
} lane;

static void lock(void)
{
	rota__spin_lock(&lane.lock);
}

static void unlock(void)
{
	rota__spin_unlock(&lane.lock);
}

/* --- questions -------------------------------------------------------------------------------------------------- */

static size_t length(const char *name)
{
	return name != NULL ? strlen(name) + 1 : 0;
}

static uint32_t hash_name(uint32_t hash, const char *name)
{
	for (; name != NULL && *name != '\0'; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619u; /* FNV-1a */
	return (hash ^ (name != NULL)) * 16777619u;
}

static bool same_name(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static struct question *question_new(const char *host, const char *service, unsigned flags, uint32_t hash)
{
	const size_t size = sizeof(struct question) + length(host) + length(service);
	struct question *q = rota__alloc(size, _Alignof(struct question));

	if (q == NULL)
		return NULL;
	q->hash = hash;
	q->flags = flags;
	q->size = size;
	if (host != NULL)
		q->host = memcpy(q->text, host, length(host));
	if (service != NULL)
		q->service = memcpy(q->text + length(host), service, length(service));
	return q;
}

static void question_free(struct question *q)
{
	if (q != NULL)
		rota__free(q, q->size, _Alignof(struct question));
}

/* With the lock held, as all that follow here. */
static struct question *find(const char *host, const char *service, unsigned flags, uint32_t hash)
{
	struct question *q = lane.bucket[hash % BUCKETS];

	while (q != NULL &&
	       !(q->hash == hash && q->flags == flags && same_name(q->host, host) && same_name(q->service, service)))
		q = q->bucket_next;
	return q;
}

static void open_question(struct question *q)
{
	q->bucket_next = lane.bucket[q->hash % BUCKETS];
	lane.bucket[q->hash % BUCKETS] = q;
	q->queue_prev = lane.last;
	if (lane.last != NULL)
		lane.last->queue_next = q;
	else
		lane.first = q;
	lane.last = q;
}

static void dequeue(struct question *q)
{
	if (q->queue_prev != NULL)
		q->queue_prev->queue_next = q->queue_next;
	else
		lane.first = q->queue_next;
	if (q->queue_next != NULL)
		q->queue_next->queue_prev = q->queue_prev;
	else
		lane.last = q->queue_prev;
}

static void close_question(struct question *q)
{
	struct question **link = &lane.bucket[q->hash % BUCKETS];

	while (*link != q)
		link = &(*link)->bucket_next;
	*link = q->bucket_next;
}

/* --- answers ---------------------------------------------------------------------------------------------------- */

static void set_port(struct rota_address *address, uint16_t port)
{
	if (address->addr.any.sa_family == AF_INET)
		address->addr.in.sin_port = htons(port);
	else
		address->addr.in6.sin6_port = htons(port);
}

/* `count` addresses, or an error. The lock is held, and `op` waits. */
static void answer(struct rota_resolve_op *op, const struct rota_address *found, int count)
{
	if (count > (int)op->max_)
		count = (int)op->max_;
	for (int i = 0; i < count; i++) {
		op->ret_[i] = found[i];
		if (op->port_number_ != 0)
			set_port(&op->ret_[i], op->port_number_);
	}
	op->future.status = count;
}

/* Closes and frees the question. */
static void deliver(struct question *q, const struct rota_address *found, int count)
{
	struct rota__wake_batch batch;

	rota__wake_batch_init(&batch);
	rota__outside_begin();
	lock();
	close_question(q);
	while (!rota__waitlist_empty(&q->askers)) {
		for (int i = 0;
		     i < GRANTS_AT_ONCE && !rota__waitlist_empty(&q->askers) && !rota__wake_batch_full(&batch); i++) {
			char *waiter = (char *)q->askers.first_;

			answer((void *)(waiter - offsetof(struct rota_resolve_op, waiter_)), found, count);
			rota__waitlist_grant(&q->askers, 0, &batch);
		}
		unlock();
		rota__wake_batch_submit(&batch);
		lock();
	}
	unlock();
	rota__outside_end();
	question_free(q);
}

/* --- threads ---------------------------------------------------------------------------------------------------- */

/* Waits for a question with the lock held, dropping it meanwhile; NULL: the thread should leave. */
static struct question *next_question(void)
{
	const uint64_t until = rota__sys_clock() + IDLE_NS;

	while (lane.first == NULL) {
		uint32_t bell = rota__load(&lane.bell, RELAXED); /* rung under the lock */
		uint64_t now = rota__sys_clock();

		if (now >= until)
			return NULL;
		lane.idle++;
		unlock();
		rota__sys_futex_wait(&lane.bell, bell, until - now);
		lock();
		lane.idle--;
		if (lane.notified > 0)
			lane.notified--;
	}
	return lane.first;
}

static void *thread_main(void *arg)
{
	struct rota_address found[ROTA_RESOLVE_MAX];
	struct question *q;

	(void)arg;
	lock();
	while ((q = next_question()) != NULL) {
		dequeue(q);
		q->running = true;
		unlock();
		deliver(q, found, rota__sys_resolve(q->host, q->service, q->flags, found, ROTA_RESOLVE_MAX));
		lock();
	}
	lane.threads--;
	unlock();
	return NULL;
}

/* Nobody is there to answer: everybody is told. */
static void refuse_all(int error)
{
	struct question *q;

	for (;;) {
		lock();
		q = lane.threads == 0 ? lane.first : NULL;
		if (q != NULL) {
			dequeue(q);
			q->running = true;
		}
		unlock();
		if (q == NULL)
			return;
		deliver(q, NULL, error);
	}
}

/* With the lock held: what is left of it when a thread could not be made, or has been made since. */
static bool still_short(void)
{
	return lane.first != NULL && lane.threads < THREADS_MAX;
}

/* One that was counted. */
static void make_thread(void)
{
	pthread_t thread;
	int rc;

	rota__io_after_fork_install();
	rc = rota__sys_thread(&thread, "rota-resolve", thread_main, NULL);
	if (rc == 0) {
		pthread_detach(thread);
		return;
	}
	lock();
	lane.threads--;
	rota__store(&lane.is_short, still_short(), RELAXED); /* under the lock, as ever; read anywhere, as a hint */
	unlock();
	refuse_all(rc);
}

/* Sees to it that a question that was just queued will be taken. */
static void call_thread(void)
{
	bool ring, make;

	lock();
	ring = lane.idle > lane.notified;
	make = !ring && lane.threads < THREADS_MAX;
	lane.threads += make;
	if (ring) {
		lane.notified++;
		rota__fetch_add(&lane.bell, 1, SEQ_CST);
	}
	unlock();
	if (ring)
		rota__sys_futex_wake(&lane.bell, 1);
	if (make)
		make_thread();
}

/* After a question was asked, or joined: the asker's runtime lasts as long as it waits. */
static void rouse_reactor(void)
{
	rota_runtime *rt = rota__runtime_self();

	if (rt != NULL && rota__load(&lane.is_short, RELAXED))
		rt->driver->wake_reactor(rt);
}

uint64_t rota__resolver_look(uint64_t now)
{
	bool is_short, make;
	uint64_t again;

	if (!rota__load(&lane.is_short, RELAXED))
		return ROTA_NEVER;
	lock();
	is_short = still_short();
	make = is_short && now >= lane.again;
	if (make) {
		lane.again = now + AGAIN_NS;
		lane.threads++;
	}
	again = lane.again;
	rota__store(&lane.is_short, is_short, RELAXED);
	unlock();
	if (make)
		make_thread();
	return is_short ? again : ROTA_NEVER;
}

/* The questions stay where they are: somebody may have been about to change them. */
void rota__resolver_forked(void)
{
	memset(&lane, 0, sizeof(lane));
}

/* --- askers ------------------------------------------------------------------------------------------------------ */

/* Joins the question that is open, or opens one. */
int rota__resolver_ask(struct rota_resolve_op *op, const char *service, const struct rota_waker *waker)
{
	const uint32_t hash = hash_name(hash_name(op->flags_ + 2166136261u, op->host_), service);
	struct question *made = NULL, *q;
	bool opened;

	lock();
	q = find(op->host_, service, op->flags_, hash);
	if (q == NULL) {
		unlock();
		made = question_new(op->host_, service, op->flags_, hash);
		if (made == NULL)
			return -ENOMEM;
		lock();
		q = find(op->host_, service, op->flags_, hash);
	}
	opened = q == NULL;
	if (opened) {
		q = made;
		open_question(q);
	}
	op->question_ = q;
	rota__waitlist_wait(&q->askers, &op->waiter_, waker, false);
	unlock();
	if (opened)
		call_thread();
	else
		question_free(made);
	rouse_reactor();
	return 0;
}

/* The asker goes. With the lock held, which it drops. */
static void leave(struct rota_resolve_op *op)
{
	struct question *q = op->question_;
	bool unasked;

	rota__waitlist_remove(&q->askers, &op->waiter_);
	unasked = rota__waitlist_empty(&q->askers) && !q->running;
	if (unasked) {
		dequeue(q);
		close_question(q);
	}
	unlock();
	if (unasked)
		question_free(q);
}

rota_poll rota__resolver_poll(struct rota_resolve_op *op, const struct rota_waker *waker)
{
	lock();
	if (rota__waiter_granted(&op->waiter_)) {
		unlock();
		return ROTA_READY;
	}
	if (op->cancelled_) {
		leave(op);
		op->future.status = -ECANCELED;
		return ROTA_READY;
	}
	rota__waitlist_wait(&((struct question *)op->question_)->askers, &op->waiter_, waker, false);
	unlock();
	return ROTA_PENDING;
}
