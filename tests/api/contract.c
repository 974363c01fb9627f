/* SPDX-License-Identifier: MIT */
/*
 * The part of the interface that programs may rely on most: each call by its exact type, each field and constant by its
 * name. It is C11 and C++17. To compile and to link is all; a line here changes only with a new soversion.
 */
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

static int async_main(int argc, char **argv)
{
	static const struct rota_future_ops ops = ROTA_ASYNC_OPS(nap_poll, "nap");
	static struct rota_mutex mutex = ROTA_MUTEX_INIT;
	struct nap nap;

	(void)argc, (void)argv;
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
