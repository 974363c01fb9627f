/* SPDX-License-Identifier: MIT */
/*
 * The part of the interface that programs may rely on most: each call by its exact type, each field and constant by its
 * name. It is C11 and C++17. To compile and to link is all; a line here changes only with a new soversion.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rota.h>

#define CALL(type, name, arguments) static type(*const name##_) arguments = name

/* runtime/runtime.h */
CALL(int, rota_run, (int (*)(int, char **), int, char **));
CALL(int, rota_runtime_new, (rota_runtime **, const struct rota_config *));
CALL(int, rota_block_on, (rota_runtime *, rota_fn *, void *));
CALL(int, rota_runtime_shutdown, (rota_runtime *, uint64_t));
CALL(void, rota_runtime_free, (rota_runtime *));

/* runtime/task.h */
CALL(int, rota_spawn, (rota_task **, rota_fn *, void *));
CALL(int, rota_spawn_on, (rota_runtime *, rota_task **, rota_fn *, void *));
CALL(int, rota_spawn_local, (rota_task **, rota_fn *, void *));
CALL(int, rota_spawn_with, (rota_task **, const struct rota_task_attr *, rota_fn *, void *));
CALL(int, rota_spawn_blocking, (rota_task **, rota_fn *, void *));
CALL(int, rota_join, (rota_task *, int *));
CALL(void, rota_detach, (rota_task *));
CALL(int, rota_cancel, (rota_task *));
CALL(void, rota_shield_enter, (void));
CALL(void, rota_shield_leave, (void));
CALL(int, rota_yield, (void));
CALL(uint64_t, rota_task_id, (void));

/* runtime/time.h */
CALL(uint64_t, rota_now, (void));
CALL(int, rota_sleep, (uint64_t));
CALL(int, rota_sleep_until, (uint64_t));

/* runtime/scope.h */
CALL(int, rota_scope_open, (struct rota_scope *, uint64_t));
CALL(int, rota_scope_spawn, (struct rota_scope *, rota_task **, rota_fn *, void *));
CALL(int, rota_scope_next, (struct rota_scope *, int *));
CALL(void, rota_scope_cancel, (struct rota_scope *));
CALL(int, rota_scope_close, (struct rota_scope *));

/* runtime/future.h, runtime/waker.h */
CALL(int, rota_await, (struct rota_future *));
CALL(int, rota_await_all, (struct rota_future *const[], size_t));
CALL(int, rota_await_any, (struct rota_future *const[], size_t, size_t *));
CALL(int, rota_spawn_future, (rota_task **, struct rota_future *));
CALL(int, rota_block_on_future, (rota_runtime *, struct rota_future *));
CALL(struct rota_waker, rota_context_waker, (struct rota_context *));
CALL(void, rota_wake, (struct rota_waker *));

/* runtime/fork.h, runtime/parallel.h */
CALL(void, rota_fork, (struct rota_frame *, rota_fn *, void *));
CALL(int, rota_fork_join, (struct rota_frame *));
CALL(int, rota_parallel_for, (size_t, size_t, size_t, rota_range_fn *, void *));

/* io/tcp.h, io/fd.h, io/file.h, io/op.h */
CALL(int, rota_tcp_listen, (const char *, const char *, int));
CALL(int, rota_tcp_connect, (const char *, const char *));
CALL(int, rota_accept, (int, struct sockaddr *, socklen_t *));
CALL(ssize_t, rota_recv, (int, void *, size_t, int));
CALL(ssize_t, rota_send, (int, const void *, size_t, int));
CALL(ssize_t, rota_read, (int, void *, size_t));
CALL(ssize_t, rota_write, (int, const void *, size_t));
CALL(ssize_t, rota_pread, (int, void *, size_t, off_t));
CALL(ssize_t, rota_pwrite, (int, const void *, size_t, off_t));
CALL(ssize_t, rota_preadv, (int, const struct iovec *, int, off_t));
CALL(ssize_t, rota_pwritev, (int, const struct iovec *, int, off_t));
CALL(ssize_t, rota_read_exact, (int, void *, size_t));
CALL(ssize_t, rota_write_all, (int, const void *, size_t));
CALL(int, rota_open, (const char *, int, mode_t));
CALL(int, rota_close, (int));
CALL(int, rota_fsync, (int));
CALL(int, rota_statx, (int, const char *, int, unsigned, struct statx *));
CALL(int, rota_poll_fd, (int, short));
CALL(void, rota_op_read, (struct rota_op *, int, void *, size_t, off_t));

/* sync/mutex.h, sync/channel.h */
CALL(void, rota_mutex_lock, (struct rota_mutex *));
CALL(int, rota_mutex_trylock, (struct rota_mutex *));
CALL(void, rota_mutex_unlock, (struct rota_mutex *));
CALL(int, rota_channel_init, (struct rota_channel *, size_t, size_t));
CALL(int, rota_channel_send, (struct rota_channel *, const void *));
CALL(int, rota_channel_recv, (struct rota_channel *, void *));
CALL(int, rota_channel_try_send, (struct rota_channel *, const void *));
CALL(int, rota_channel_try_recv, (struct rota_channel *, void *));
CALL(ssize_t, rota_channel_recv_many, (struct rota_channel *, void *, size_t));
CALL(void, rota_channel_close, (struct rota_channel *));

/* The address of every call, so that the linker has to find them. */
typedef void function(void);
#define USE(name) use((function *)name##_)

static int used;

static void use(function *call)
{
	used += call != NULL;
}

static int use_runtime(void)
{
	USE(rota_run), USE(rota_runtime_new), USE(rota_block_on), USE(rota_runtime_shutdown), USE(rota_runtime_free);
	USE(rota_spawn), USE(rota_spawn_on), USE(rota_spawn_local), USE(rota_spawn_with), USE(rota_spawn_blocking);
	USE(rota_join), USE(rota_detach), USE(rota_cancel), USE(rota_shield_enter), USE(rota_shield_leave);
	USE(rota_yield), USE(rota_task_id), USE(rota_now), USE(rota_sleep), USE(rota_sleep_until);
	USE(rota_scope_open), USE(rota_scope_spawn), USE(rota_scope_next), USE(rota_scope_cancel), USE(rota_scope_close);
	USE(rota_await), USE(rota_await_all), USE(rota_await_any), USE(rota_spawn_future), USE(rota_block_on_future);
	USE(rota_context_waker), USE(rota_wake), USE(rota_fork), USE(rota_fork_join), USE(rota_parallel_for);
	return 35;
}

static int use_io(void)
{
	USE(rota_tcp_listen), USE(rota_tcp_connect), USE(rota_accept), USE(rota_recv), USE(rota_send);
	USE(rota_read), USE(rota_write), USE(rota_pread), USE(rota_pwrite), USE(rota_preadv), USE(rota_pwritev);
	USE(rota_read_exact), USE(rota_write_all), USE(rota_open), USE(rota_close), USE(rota_fsync), USE(rota_statx);
	USE(rota_poll_fd), USE(rota_op_read);
	return 19;
}

static int use_sync(void)
{
	USE(rota_mutex_lock), USE(rota_mutex_trylock), USE(rota_mutex_unlock), USE(rota_channel_init);
	USE(rota_channel_send), USE(rota_channel_recv), USE(rota_channel_try_send), USE(rota_channel_try_recv);
	USE(rota_channel_recv_many), USE(rota_channel_close);
	return 10;
}

/* The fields, by type. */
static unsigned *workers(struct rota_config *config)
{
	return &config->workers;
}

static unsigned *max_blocking_threads(struct rota_config *config)
{
	return &config->max_blocking_threads;
}

static size_t *stack_size(struct rota_config *config)
{
	return &config->stack_size;
}

static enum rota_backend *backend(struct rota_config *config)
{
	return &config->backend;
}

static enum rota_flavor *flavor(struct rota_config *config)
{
	return &config->flavor;
}

static bool fields_are_one_struct(void)
{
	struct rota_config config;

	memset(&config, 0, sizeof(config));
	*workers(&config) = 1;
	*max_blocking_threads(&config) = 1;
	*stack_size(&config) = 1;
	*backend(&config) = ROTA_BACKEND_EPOLL;
	*flavor(&config) = ROTA_FLAVOR_CURRENT_THREAD;
	/* Zero is the default. */
	return ROTA_BACKEND_AUTO == 0 && ROTA_FLAVOR_MULTI_THREAD == 0 && config.backend != ROTA_BACKEND_IO_URING &&
	       config.workers + config.max_blocking_threads + config.stack_size == 3;
}

/* An async function, and a mutex, as they are written. */
struct nap {
	struct rota_async async;
	struct rota_timer timer;
};

static rota_poll nap_poll(struct rota_future *self, struct rota_context *cx)
{
	struct nap *nap = (struct nap *)self;

	ROTA_ASYNC_BEGIN(nap);
	rota_timer_init(&nap->timer, rota_now() + ROTA_US(10));
	ROTA_AWAIT(nap, cx, &nap->timer.future);
	nap->async.future.status = nap->timer.future.status;
	ROTA_ASYNC_END(nap);
}

/* Initialisers: of what has no buffer, and of what lies in the program's memory. */
static struct rota_mutex mutex = ROTA_MUTEX_INIT;
static struct rota_rwlock rwlock = ROTA_RWLOCK_INIT;
static struct rota_cond cond = ROTA_COND_INIT;
static struct rota_semaphore semaphore = ROTA_SEMAPHORE_INIT(2);
static struct rota_notify notify = ROTA_NOTIFY_INIT;
static struct rota_barrier barrier = ROTA_BARRIER_INIT(1);
static struct rota_wait_group wait_group = ROTA_WAIT_GROUP_INIT;
static struct rota_once once = ROTA_ONCE_INIT;
static struct rota_oneshot oneshot = ROTA_ONESHOT_INIT;

struct pair {
	char first;
	double second;
};
static struct pair places[4];
static struct rota_channel channel = ROTA_CHANNEL_INIT(places);
static struct rota_channel unbounded = ROTA_CHANNEL_UNBOUNDED_INIT(sizeof(struct pair));
static struct rota_channel rendezvous = ROTA_CHANNEL_RENDEZVOUS_INIT(sizeof(struct pair));
static ROTA_BROADCAST_STORAGE(struct pair, 8) ring;
static struct rota_broadcast broadcast = ROTA_BROADCAST_INIT(ring);
static ROTA_WATCH_STORAGE(struct pair) place = { { 'a', 0.5 } };
static struct rota_watch watch = ROTA_WATCH_INIT(place);

static int ready(void *arg)
{
	(void)arg;
	return 3;
}

/* What is wrong, or NULL. */
static const char *use_what_is_initialised(void)
{
	struct rota_broadcast_receiver receiver;
	struct pair pair = { 'b', 2.5 }, got = { 0, 0 };

	rota_cond_broadcast(&cond);
	rota_notify_one(&notify);
	rota_broadcast_subscribe(&broadcast, &receiver);
	rota_watch_get(&watch, &got);
	if (got.first != 'a' || got.second != 0.5)
		return "watch";
	if (rota_mutex_trylock(&mutex) != 0 || rota_rwlock_tryrdlock(&rwlock) != 0)
		return "locks";
	rota_mutex_unlock(&mutex);
	if (rota_rwlock_unlock(&rwlock) != 0 || rota_semaphore_available(&semaphore) != 2)
		return "semaphore";
	if (rota_notify_wait(&notify) != 0 || rota_barrier_wait(&barrier) != ROTA_BARRIER_LEADER)
		return "barrier";
	if (rota_wait_group_wait(&wait_group) != 0 || rota_once_run(&once, ready, NULL) != 3)
		return "once";
	if (rota_oneshot_send(&oneshot, &pair) != 0)
		return "oneshot";
	if (rota_channel_try_send(&rendezvous, &pair) != -EAGAIN || rota_channel_try_send(&unbounded, &pair) != 0)
		return "unbounded";
	if (rota_channel_send(&channel, &pair) != 0 || rota_channel_recv(&channel, &got) != 0 || got.second != 2.5)
		return "channel";
	if (rota_broadcast_send(&broadcast, &pair) != 0 || rota_broadcast_recv(&receiver, &got) != 0 || got.first != 'b')
		return "broadcast";
	if (rota_channel_deinit(&channel) != 0 || rota_channel_deinit(&unbounded) != 0 ||
	    rota_broadcast_deinit(&broadcast) != 0 || rota_watch_deinit(&watch) != 0)
		return "ends";
	return NULL;
}

static int async_main(int argc, char **argv)
{
	static const struct rota_future_ops ops = ROTA_ASYNC_OPS(nap_poll, "nap");
	const char *wrong = use_what_is_initialised();
	struct nap nap;

	(void)argc, (void)argv;
	if (wrong != NULL) {
		fprintf(stderr, "initialiser: %s\n", wrong);
		return -EBADMSG;
	}
	rota_mutex_lock(&mutex);
	rota_async_init(&nap.async, &ops);
	rota_mutex_unlock(&mutex);
	return rota_await(&nap.async.future);
}

int main(int argc, char **argv)
{
	const size_t unbounded = ROTA_UNBOUNDED;
	const uint64_t second = ROTA_SECONDS(1);

	if (use_runtime() + use_io() + use_sync() != used || !fields_are_one_struct())
		return 1;
	if (second != ROTA_MS(1000) || second != ROTA_US(1000000) || unbounded != SIZE_MAX)
		return 1;
	return rota_run(async_main, argc, argv) != 0;
}
