/* SPDX-License-Identifier: MIT */
/*
 * The seam to the system: clock, futex, memory, threads, randomness. Together with io/sys_internal.h every system
 * call of rota goes through here, so that a test can make the n-th of each kind fail. errno is converted here and
 * is known nowhere else.
 *
 * It stands in runtime/, not in io/, because runtime/ needs it and may not include io/.
 */
#ifndef ROTA_RUNTIME_SYS_INTERNAL_H
#define ROTA_RUNTIME_SYS_INTERNAL_H

#include <pthread.h>
#include <signal.h>
#include <sys/uio.h>

#include "atomic_internal.h"
#include "types.h"

/* What the last call of the C library that failed said, on this thread. errno itself: opaque_internal.h. */
int rota__sys_errno(void);

/* What a call returned as a count, or a negative errno. Right after that call. */
static inline int rota__sys_result(long rc)
{
	return rc < 0 ? -rota__sys_errno() : (int)rc;
}

enum rota__fault_kind {
	ROTA__FAULT_ALLOC,
	ROTA__FAULT_MAP,
	ROTA__FAULT_GUARD,
	ROTA__FAULT_DISCARD, /* of several ranges by one call: they are discarded one by one */
	ROTA__FAULT_THREAD,
	ROTA__FAULT_EVENTFD,
	ROTA__FAULT_RING,
	ROTA__FAULT_ENTER,
	ROTA__FAULT_SOCKET,
	ROTA__FAULT_OP, /* an operation, save close; a positive `error` instead cuts what it moves to so many bytes */
	ROTA__FAULT_EPOLL, /* making one, and registering a descriptor there */
	ROTA__FAULT_SPAWN,
	ROTA__FAULT_PIDFD,
	ROTA__FAULT_INTERRUPT, /* of a thread in a call that may wait for ever, by signal or cancel: too soon to do anything */
	ROTA__FAULT_KINDS,
};

/* Makes the nth call of `kind` from now on (1: the next) fail with `error` (a negative errno), once; or each,
 * ROTA__FAULT_EACH. nth 0 disarms. Tests only. */
#define ROTA__FAULT_EACH UINT32_MAX
void rota__fault_arm(enum rota__fault_kind kind, uint32_t nth, int error);

/* Asked by each call of the seam: 0, or the armed error when it is this call's turn. */
int rota__fault(enum rota__fault_kind kind);

uint64_t rota__sys_clock(void);
uint64_t rota__sys_clock_coarse(void); /* the same at the last timer tick: behind it, and a third of its price */
uint64_t rota__sys_random(void);
unsigned rota__sys_cpus(void);

/* When `ns` have passed since `time`; ROTA_NEVER when that is beyond all times. */
static inline uint64_t rota__later(uint64_t time, uint64_t ns)
{
	return ns < UINT64_MAX - time ? time + ns : UINT64_MAX;
}

/* How much of a wait a thread may spend in one bare system call, whose caller comes again: all of it. But the thread
 * sanitizer holds a signal back until the thread that got it does its next atomic operation, so there it has to come out
 * for that. */
static inline uint64_t rota__sys_wait_at_once(uint64_t timeout_ns)
{
#ifdef ROTA__TSAN
	return timeout_ns < 100000000 ? timeout_ns : 100000000;
#else
	return timeout_ns;
#endif
}

/* Waits while *word == expected, at most timeout_ns (UINT64_MAX: no limit). Returns early now and then. */
void rota__sys_futex_wait(struct rota_atomic_u32 *word, uint32_t expected, uint64_t timeout_ns);
void rota__sys_futex_wake(struct rota_atomic_u32 *word, int count);

/* Address space without a promise of memory; *ret page-aligned. 0, -ENOMEM. */
int rota__sys_map(void **ret, size_t size);

/* Memory of which little is touched takes no huge pages. */
void rota__sys_keep_small(void *addr, size_t size);
void rota__sys_unmap(void *addr, size_t size);

/* Makes [addr, addr+size) fault when touched. With `light` by a guard marker that splits no mapping (Linux 6.13),
 * else by protection. 0, or a negative errno. */
int rota__sys_guard(void *addr, size_t size, bool light);
bool rota__sys_has_light_guards(void);

/* Gives the pages of n ranges back; they read as zero afterwards. By one call, since each interrupts all CPUs that run the
 * process, for longer than all else takes; by one for each range before Linux 6.16, or where a filter forbids it. */
void rota__sys_discard(const struct iovec ranges[], unsigned n);

/* A joinable thread with every signal blocked that is not its own fault. 0, -EAGAIN, -ENOMEM. */
int rota__sys_thread(pthread_t *ret, const char *name, void *(*body)(void *), void *arg);

/* Whether the calling thread lets signals in, as threads of rota's own do not; and keeps them from it for a while. */
bool rota__sys_signals_come(void);
void rota__sys_hold_signals(sigset_t *ret_old);
void rota__sys_let_signals(const sigset_t *old);

/* Keeps SIGPIPE from the calling thread; false: it was blocked before. The other one, not to be called then, swallows what
 * came meanwhile. */
bool rota__sys_block_sigpipe(void);
void rota__sys_unblock_sigpipe(void);

/* The calling thread, if it is scheduled as most are, would rather have the CPU in slices of so many nanoseconds. The kernel
 * may take no notice. */
void rota__sys_slice(uint64_t ns);

/* The CPU that the calling thread is on; a negative errno. */
int rota__sys_here(void);

/* Moves the calling thread to a CPU, if it may run there; it may still run where it might before. */
void rota__sys_move(int cpu);

/* Of a thread that has not been joined: its time on a CPU, and its time in wait for one, which counts each wait when it
 * is over; 0 when that is not known. */
struct rota__thread_times {
	uint64_t cpu_ns, ready_ns;
};
struct rota__thread_times rota__sys_thread_times(pthread_t thread);
uint64_t rota__sys_thread_cpu(pthread_t thread); /* the first of them alone: a tenth of the price */

/* The state of such a thread as proc(5) has it: R runs or is ready, S and D are blocked; ? is not known. The CPU that it runs
 * on or waits for, or ran on last; -1 when that is not known. */
struct rota__thread_state {
	char state;
	int cpu;
};
struct rota__thread_state rota__sys_thread_state(pthread_t thread);

/* Whether there are restartable sequences (rseq_internal.h), of threads that the C library has made. Then
 * rota__sys_cut_sequences may be called: it makes all other threads of the process pass a barrier, and cuts off those that are
 * in a sequence. */
bool rota__sys_has_sequences(void);
void rota__sys_cut_sequences(void);

int rota__sys_eventfd(void);

/* A descriptor of rota's own that got the number of a standard stream, since the program goes without that one, gets another
 * number: what the program prints would end up in it. Returns the number; a negative errno: `fd` is closed, or was one. */
int rota__sys_above_standard(int fd);
void rota__sys_eventfd_write(int fd);
void rota__sys_close(int fd); /* a negative one: does nothing */
void rota__sys_yield(void);

/* Writes to standard error, all of it or what can be. Signal handlers too. */
void rota__sys_write_error(const char *text, size_t len);

#endif
