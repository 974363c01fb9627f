/* SPDX-License-Identifier: MIT */
/* Words that are biased to a thread, as those of a mutex that only one has used: whose they become, and who takes them away. */
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/membarrier.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "../../runtime/bias_internal.h"
#include "../../runtime/sys_internal.h"
#include "../../sync/mutex.h"
#include "unit.h"

static struct rota_mutex mutex;

static bool is_biased(void)
{
	return (mutex.state_.value & ROTA__BIASED) != 0;
}

static bool is_shared(void)
{
	return (mutex.state_.value & ROTA__SHARED) != 0;
}

static void lock_once(void)
{
	rota_mutex_lock(&mutex);
	rota_mutex_unlock(&mutex);
}

static int lock_often(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < ROTA__STREAK; i++)
		lock_once();
	return 0;
}

static int lock_before_and_after(void *arg)
{
	lock_often(arg);
	expect(is_biased(), ==, rota__sys_has_sequences());
	expect(rota_yield(), ==, 0);
	return lock_often(arg);
}

/* A runtime of one worker, which has used the mutex often. */
static rota_runtime *runtime_that_locks(void)
{
	const struct rota_config config = { .workers = 1 };
	rota_runtime *rt;

	rota_mutex_init(&mutex);
	expect(rota_runtime_new(&rt, &config), ==, 0);
	unit_no_more_spares(rt); /* one might take the task over */
	expect(rota_block_on(rt, lock_before_and_after, NULL), ==, 0);
	expect(is_biased(), ==, rota__sys_has_sequences());
	return rt;
}

Test(bias, another_thread_shares_it)
{
	rota_runtime *rt = runtime_that_locks();

	expect(rota_mutex_trylock(&mutex), ==, 0);
	expect(is_shared(), ==, true);
	rota_mutex_unlock(&mutex);
	expect(rota_block_on(rt, lock_often, NULL), ==, 0);
	expect(is_shared(), ==, true); /* for ever */
	expect(rota_mutex_deinit(&mutex), ==, 0);
	rota_runtime_free(rt);
}

/* It is not the thread that was first. */
Test(bias, two_that_begin_share_it)
{
	rota_runtime *rt = runtime_that_locks();

	rota_mutex_init(&mutex);
	lock_once();
	expect(is_biased(), ==, false);
	expect(rota_block_on(rt, lock_often, NULL), ==, 0);
	expect(is_shared(), ==, true);
	rota_runtime_free(rt);
}

/* The next runtime's worker has the same number, or another. */
Test(bias, a_word_outlives_its_worker)
{
	const struct rota_config config = { .workers = 2 };
	rota_runtime *rt = runtime_that_locks();

	rota_runtime_free(rt);
	expect(rota_runtime_new(&rt, &config), ==, 0);
	expect(rota_block_on(rt, lock_often, NULL), ==, 0);
	rota_runtime_free(rt);
	lock_once();
	expect(is_shared(), ==, true);
}

static void lock_in_child(void *arg)
{
	const struct rota_config config = { .workers = 1 };
	rota_runtime *rt;

	lock_once();
	expect(is_shared(), ==, true);
	expect(rota_runtime_new(&rt, &config), ==, 0);
	unit_no_more_spares(rt);
	rota_mutex_init(&mutex);
	expect(rota_block_on(rt, lock_before_and_after, arg), ==, 0);
	lock_once();
	rota_runtime_free(rt);
}

Test(bias, a_child_takes_it_too)
{
	rota_runtime *rt = runtime_that_locks();
	struct unit_child child;

	unit_child_run(&child, lock_in_child, NULL);
	expect_text(child.text, "");
	expect(child.status, ==, 0);
	expect(is_biased(), ==, rota__sys_has_sequences());
	expect(rota_block_on(rt, lock_often, NULL), ==, 0);
	rota_runtime_free(rt);
}

static void refuse_membarrier(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	expect(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), ==, 0);
	expect(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), ==, 0);
}

static void lock_without_barrier(void *arg)
{
	(void)arg;
	refuse_membarrier();
	lock_once();
}

Test(bias, a_barrier_that_is_refused_later_ends_the_process)
{
	rota_runtime *rt = runtime_that_locks();
	struct unit_child child;

	unit_child_run(&child, lock_without_barrier, NULL);
	if (rota__sys_has_sequences()) {
		expect(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGABRT, ==, true);
		expect_pointer(strstr(child.text, "rota: membarrier(2) is refused"), !=, NULL);
	} else {
		expect(child.status, ==, 0);
	}
	rota_runtime_free(rt);
}

static void start_without_barrier(void *arg)
{
	rota_runtime *rt;

	refuse_membarrier();
	rota_mutex_init(&mutex);
	expect(rota_runtime_new(&rt, NULL), ==, 0);
	expect(rota_block_on(rt, lock_often, arg), ==, 0);
	expect(is_biased(), ==, false);
	lock_once();
	rota_runtime_free(rt);
}

Test(bias, without_a_barrier_no_word_is_a_threads)
{
	struct unit_child child;

	unit_child_run(&child, start_without_barrier, NULL);
	expect(child.status, ==, 0);
}

static void *lock_in_thread(void *arg)
{
	lock_often(arg);
	expect(is_biased(), ==, rota__sys_has_sequences());
	lock_often(arg);
	expect(is_biased(), ==, rota__sys_has_sequences());
	return NULL;
}

static void run_thread(void *(*fn)(void *arg), void *arg)
{
	pthread_t thread;

	expect(pthread_create(&thread, NULL, fn, arg), ==, 0);
	expect(pthread_join(thread, NULL), ==, 0);
}

/* More than there are numbers: those of threads that have ended are given to others. */
Test(bias, plain_threads_have_words_too)
{
	rota__bias_always = true;
	for (unsigned i = 0; i < 3 * ROTA__OWNERS; i++) {
		rota_mutex_init(&mutex);
		run_thread(lock_in_thread, NULL);
		expect(is_biased(), ==, rota__sys_has_sequences());
		lock_once();
		expect(is_shared(), ==, true);
	}
}

struct crowd {
	pthread_barrier_t changed, looked;
	struct rota_atomic_u32 biased;
};

static void *lock_among_many(void *arg)
{
	struct crowd *crowd = arg;
	struct rota_mutex own = ROTA_MUTEX_INIT;

	for (unsigned i = 0; i < ROTA__STREAK; i++) {
		rota_mutex_lock(&own);
		rota_mutex_unlock(&own);
	}
	rota__fetch_add(&crowd->biased, (own.state_.value & ROTA__BIASED) != 0, RELAXED);
	pthread_barrier_wait(&crowd->changed);
	pthread_barrier_wait(&crowd->looked);
	expect(rota_mutex_deinit(&own), ==, 0);
	return NULL;
}

/* Half of the numbers, but for 0, are for threads that are no workers; what more of them change is shared. */
Test(bias, many_threads_leave_numbers_for_workers)
{
	enum { THREADS = ROTA__OWNERS };
	static pthread_t threads[THREADS];
	struct crowd crowd = { .biased = { 0 } };
	rota_runtime *rt;

	rota__bias_always = true;
	pthread_barrier_init(&crowd.changed, NULL, THREADS + 1);
	pthread_barrier_init(&crowd.looked, NULL, THREADS + 1);
	for (unsigned i = 0; i < THREADS; i++)
		expect(pthread_create(&threads[i], NULL, lock_among_many, &crowd), ==, 0);
	pthread_barrier_wait(&crowd.changed);
	expect(rota__load(&crowd.biased, RELAXED), ==, rota__sys_has_sequences() ? ROTA__OWNERS / 2 - 1 : 0);
	rt = runtime_that_locks();
	pthread_barrier_wait(&crowd.looked);
	for (unsigned i = 0; i < THREADS; i++)
		expect(pthread_join(threads[i], NULL), ==, 0);
	rota_runtime_free(rt);
	pthread_barrier_destroy(&crowd.changed);
	pthread_barrier_destroy(&crowd.looked);
}

static pthread_key_t late_key;

/* A destructor of the thread, called after rota's the second time at the latest. */
static void lock_late(void *times)
{
	lock_often(NULL);
	if ((uintptr_t)times < 2)
		pthread_setspecific(late_key, (void *)((uintptr_t)times + 1));
}

static void *lock_until_the_end(void *arg)
{
	pthread_setspecific(late_key, (void *)(uintptr_t)1);
	return lock_in_thread(arg);
}

Test(bias, a_thread_that_ends_has_no_words)
{
	expect(pthread_key_create(&late_key, lock_late), ==, 0);
	rota_mutex_init(&mutex);
	run_thread(lock_until_the_end, NULL);
	expect(is_shared(), ==, true);
	expect(rota_mutex_deinit(&mutex), ==, 0);
	expect(pthread_key_delete(late_key), ==, 0);
}

static void lock_own_in_child(void *arg)
{
	const bool biased = rota__sys_has_sequences();

	expect(is_biased(), ==, biased);
	lock_often(arg);
	expect(is_biased(), ==, biased); /* the thread that has forked is this one */
	run_thread(lock_among_many, arg);
	lock_once();
	expect(is_biased(), ==, biased); /* the new thread has another number */
}

static void *fork_from_thread(void *arg)
{
	struct unit_child child;
	struct crowd crowd = { .biased = { 0 } };

	lock_in_thread(arg);
	pthread_barrier_init(&crowd.changed, NULL, 1);
	pthread_barrier_init(&crowd.looked, NULL, 1);
	unit_child_run(&child, lock_own_in_child, &crowd);
	expect_text(child.text, "");
	expect(child.status, ==, 0);
	return NULL;
}

Test(bias, a_thread_that_forks_keeps_its_words)
{
	rota_mutex_init(&mutex);
	run_thread(fork_from_thread, NULL);
}

#ifdef ROTA__REPLACES
static void *lock_unregistered(void *arg)
{
	struct rseq *area = (void *)((char *)__builtin_thread_pointer() + __rseq_offset);

	/* The size that the C library has told the kernel: 32, or what the kernel said. */
	expect(syscall(SYS_rseq, area, __rseq_size < 32 ? 32 : __rseq_size, RSEQ_FLAG_UNREGISTER, RSEQ_SIG), ==, 0);
	lock_often(arg);
	expect(is_shared(), ==, true);
	return NULL;
}

/* The kernel would not cut off its sequences. */
Test(bias, a_thread_without_sequences_has_no_words)
{
	rota_mutex_init(&mutex);
	if (rota__sys_has_sequences())
		run_thread(lock_unregistered, NULL);
}
#endif

/* The compiler puts it apart from the others. */
static __attribute__((cold, noinline)) int change_coldly(void *arg)
{
	uint64_t state = rota__load(&mutex.state_, RELAXED);

	(void)arg;
	for (unsigned i = 0; i < ROTA__STREAK; i++) {
		while (!rota__word_cas(&mutex.state_, &state, state, ACQUIRE))
			;
		state = rota__load(&mutex.state_, RELAXED);
	}
	return 0;
}

Test(bias, a_cold_function_changes_words_too)
{
	rota_runtime *rt = runtime_that_locks();

	expect(rota_block_on(rt, change_coldly, NULL), ==, 0);
	expect(is_biased(), ==, rota__sys_has_sequences());
	rota_runtime_free(rt);
}

/* Later it takes milliseconds. */
Test(bias, is_asked_for_before_there_are_threads)
{
	rota_runtime *rt;
	bool registered;

	rota__fault_arm(ROTA__FAULT_THREAD, 1, -EAGAIN);
	expect(rota_runtime_new(&rt, NULL), ==, -EAGAIN);
	registered = syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 0, 0) == 0;
	expect(registered, ==, rota__sys_has_sequences());
}

/* Words that are all taken away from their worker are not worth the barriers. */
Test(bias, few_are_biased_while_most_are_revoked)
{
	rota_runtime *rt = runtime_that_locks();
	unsigned biased = 0, of_the_last = 0;

	for (unsigned i = 0; i < 200; i++) {
		rota_mutex_init(&mutex);
		expect(rota_block_on(rt, lock_often, NULL), ==, 0);
		biased += is_biased();
		of_the_last += i >= 100 && is_biased();
		lock_once();
		expect(is_shared(), ==, true);
	}
	if (rota__sys_has_sequences()) {
		expect(biased, >, 16);
		expect(biased, <, 60);
		expect(of_the_last, >, 0);
		expect(of_the_last, <=, 2);
	}
	rota_runtime_free(rt);
}
