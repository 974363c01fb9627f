/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "atomic_internal.h"
#include "log_internal.h"
#include "opaque_internal.h"
#include "rseq_internal.h"
#include "sys_internal.h"
#include "valgrind_internal.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#ifndef PIDFD_SELF
#define PIDFD_SELF (-10000)
#endif

#define NSEC_PER_SEC 1000000000u

/* In /proc/PID/stat, counted from 1. */
#define NAME_FIELD 2
#define CPU_FIELD 39

#ifdef ROTA__TSAN
struct rota_atomic_u32 rota__tsan_fence_word;
#endif

/* Armed faults: how many calls until it strikes, in the upper half, and with what. */
static struct rota_atomic_u64 faults[ROTA__FAULT_KINDS];

void rota__fault_arm(enum rota__fault_kind kind, uint32_t nth, int error)
{
	rota__store(&faults[kind], (uint64_t)nth << 32 | (uint32_t)error, SEQ_CST);
}

int rota__fault(enum rota__fault_kind kind)
{
	const uint64_t one = (uint64_t)1 << 32;
	uint64_t armed = rota__load(&faults[kind], RELAXED);

	if (__builtin_expect(armed < one, 1))
		return 0;
	if (armed >> 32 == ROTA__FAULT_EACH)
		return (int)(uint32_t)armed;
	while (armed >= one && !rota__cas(&faults[kind], &armed, armed - one, SEQ_CST)) {
	}
	return armed >> 32 == 1 ? (int)(uint32_t)armed : 0;
}

ROTA__OPAQUE int rota__sys_errno(void)
{
	return errno;
}

uint64_t rota__sys_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t rota__sys_clock_coarse(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t rota__sys_random(void)
{
	uint64_t value;

	if (getrandom(&value, sizeof(value), GRND_NONBLOCK) == (ssize_t)sizeof(value))
		return value;
	return rota__sys_clock() * 0x9e3779b97f4a7c15u;
}

/* How many CPUs the quota in one control group's file is worth, rounded up; UINT32_MAX without a quota. */
static unsigned quota_in(const char *path)
{
	char line[64];
	long long quota, period = 100000;
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return UINT32_MAX;
	bool got = fgets(line, sizeof(line), f) != NULL;
	fclose(f);
	if (!got || sscanf(line, "%lld %lld", &quota, &period) < 1 || quota <= 0 || period <= 0)
		return UINT32_MAX;
	return (unsigned)((quota + period - 1) / period);
}

/* The smallest quota from the process's own control group up to the root. */
static unsigned cgroup_quota(void)
{
	char line[512] = "0::/", path[600];
	FILE *f = fopen("/proc/self/cgroup", "re");
	unsigned quota = quota_in("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"); /* version 1, of a container */
	char *end;

	/* Version 2 is the line that begins with 0:: */
	while (f != NULL && fgets(line, sizeof(line), f) != NULL && strncmp(line, "0::", 3) != 0)
		line[3] = '\0';
	if (f != NULL)
		fclose(f);
	line[strcspn(line, "\n")] = '\0';
	for (;;) {
		snprintf(path, sizeof(path), "/sys/fs/cgroup%s/cpu.max", line + 3);
		unsigned here = quota_in(path);
		quota = here < quota ? here : quota;
		end = strrchr(line + 3, '/');
		if (end == NULL)
			return quota;
		*end = '\0';
	}
}

unsigned rota__sys_cpus(void)
{
	unsigned usable = 1;
	unsigned quota = cgroup_quota();
	/* Larger than any kernel's mask: sched_getaffinity refuses a smaller one. */
	const size_t size = CPU_ALLOC_SIZE(8192);
	cpu_set_t *set = CPU_ALLOC(8192);

	if (set != NULL && sched_getaffinity(0, size, set) == 0)
		usable = (unsigned)CPU_COUNT_S(size, set);
	CPU_FREE(set);
	if (usable > quota)
		usable = quota;
	return usable > 0 ? usable : 1;
}

void rota__sys_futex_wait(struct rota_atomic_u32 *word, uint32_t expected, uint64_t timeout_ns)
{
	const uint64_t ns = rota__sys_wait_at_once(timeout_ns);
	struct timespec ts = { (time_t)(ns / NSEC_PER_SEC), (long)(ns % NSEC_PER_SEC) };

	/* EAGAIN, EINTR and ETIMEDOUT all mean: look again, which every caller does. */
	syscall(SYS_futex, &word->value, FUTEX_WAIT_PRIVATE, expected, ns == UINT64_MAX ? NULL : &ts, NULL, 0);
}

void rota__sys_futex_wake(struct rota_atomic_u32 *word, int count)
{
	syscall(SYS_futex, &word->value, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

int rota__sys_map(void **ret, size_t size)
{
	int rc = rota__fault(ROTA__FAULT_MAP);

	if (rc < 0)
		return rc;
	void *addr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (addr == MAP_FAILED)
		return -ENOMEM;
	/* A huge page under a stack would cost 2 MiB for the first byte touched. EINVAL: a kernel without them. */
	madvise(addr, size, MADV_NOHUGEPAGE);
	*ret = addr;
	return 0;
}

void rota__sys_keep_small(void *addr, size_t size)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	const uintptr_t begin = ((uintptr_t)addr + page - 1) & ~(page - 1);
	const uintptr_t end = ((uintptr_t)addr + size) & ~(page - 1);

	madvise((char *)addr + (begin - (uintptr_t)addr), end - begin, MADV_NOHUGEPAGE); /* EINVAL: as above */
}

void rota__sys_unmap(void *addr, size_t size)
{
	munmap(addr, size);
}

int rota__sys_guard(void *addr, size_t size, bool light)
{
	int rc = rota__fault(ROTA__FAULT_GUARD);

	if (rc < 0)
		return rc;
	rc = light ? madvise(addr, size, MADV_GUARD_INSTALL) : mprotect(addr, size, PROT_NONE);
	return rc < 0 ? -rota__sys_errno() : 0;
}

bool rota__sys_has_light_guards(void)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *addr = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (addr == MAP_FAILED)
		return false;
	bool has = madvise(addr, page, MADV_GUARD_INSTALL) == 0;
	munmap(addr, page);
	return has;
}

void rota__sys_discard(const struct iovec ranges[], unsigned n)
{
	ssize_t done = 0;

	/* Valgrind knows no such call, and says so (3.19). */
	if (n > 1 && !rota__valgrind_runs() && rota__fault(ROTA__FAULT_DISCARD) == 0)
		done = (ssize_t)syscall(SYS_process_madvise, PIDFD_SELF, ranges, (size_t)n, MADV_DONTNEED, 0u);
	for (unsigned i = 0; i < n; i++) { /* what was not done, all of it where the kernel has no such call */
		if (done > 0)
			done -= (ssize_t)ranges[i].iov_len;
		else
			madvise(ranges[i].iov_base, ranges[i].iov_len, MADV_DONTNEED);
	}
}

static void all_but_faults(sigset_t *ret)
{
	sigfillset(ret);
	/* What a thread does to itself must still reach the handlers (and the stack overflow report). */
	sigdelset(ret, SIGSEGV);
	sigdelset(ret, SIGBUS);
	sigdelset(ret, SIGFPE);
	sigdelset(ret, SIGILL);
	sigdelset(ret, SIGTRAP);
	sigdelset(ret, SIGABRT);
	sigdelset(ret, SIGPROF);
}

static void block_signals(sigset_t *ret_old)
{
	sigset_t set;

	all_but_faults(&set);
	pthread_sigmask(SIG_SETMASK, &set, ret_old);
}

bool rota__sys_signals_come(void)
{
	sigset_t blocked;

	return pthread_sigmask(SIG_BLOCK, NULL, &blocked) == 0 && !sigismember(&blocked, SIGTERM);
}

void rota__sys_hold_signals(sigset_t *ret_old)
{
	sigset_t set;

	all_but_faults(&set);
	sigdelset(&set, SIGURG); /* by which a stall is looked into */
	pthread_sigmask(SIG_BLOCK, &set, ret_old);
}

void rota__sys_let_signals(const sigset_t *old)
{
	pthread_sigmask(SIG_SETMASK, old, NULL);
}

bool rota__sys_block_sigpipe(void)
{
	sigset_t set, old;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	return !sigismember(&old, SIGPIPE);
}

void rota__sys_unblock_sigpipe(void)
{
	const struct timespec at_once = { 0, 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	while (sigtimedwait(&set, NULL, &at_once) < 0 && rota__sys_errno() == EINTR) {
	}
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

int rota__sys_thread(pthread_t *ret, const char *name, void *(*body)(void *), void *arg)
{
	int rc = rota__fault(ROTA__FAULT_THREAD);
	sigset_t old;

	if (rc < 0)
		return rc;
	block_signals(&old); /* inherited by the new thread */
	rc = pthread_create(ret, NULL, body, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc == 0)
		pthread_setname_np(*ret, name);
	return -rc;
}

/* The number of a thread's CPU clock has the thread's in it, in the shape that the kernel gives such clocks. */
#define THREAD_OF_CLOCK(clock) (~((clock) >> 3))

/* A file of /proc on a thread, as far as it fits; an empty text when there is none. */
static void read_of_thread(int thread, const char *name, char *text, size_t size)
{
	char path[64];
	ssize_t n = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/%s", thread, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, size - 1);
		close(fd);
	}
	text[n > 0 ? n : 0] = '\0';
}

static uint64_t cpu_time(clockid_t clock)
{
	struct timespec ts;

	return clock_gettime(clock, &ts) == 0 ? (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec : 0;
}

uint64_t rota__sys_thread_cpu(pthread_t thread)
{
	clockid_t clock;

	return pthread_getcpuclockid(thread, &clock) == 0 ? cpu_time(clock) : 0;
}

struct rota__thread_times rota__sys_thread_times(pthread_t thread)
{
	struct rota__thread_times times = { .cpu_ns = 0 };
	unsigned long long ran, ready;
	clockid_t clock;
	char text[128];

	if (pthread_getcpuclockid(thread, &clock) != 0)
		return times;
	times.cpu_ns = cpu_time(clock);
	read_of_thread((int)THREAD_OF_CLOCK(clock), "schedstat", text, sizeof(text));
	if (sscanf(text, "%llu %llu", &ran, &ready) == 2)
		times.ready_ns = ready;
	return times;
}

struct rota__thread_state rota__sys_thread_state(pthread_t thread)
{
	struct rota__thread_state state = { .state = '?', .cpu = -1 };
	clockid_t clock;
	char text[512];
	const char *at;

	if (pthread_getcpuclockid(thread, &clock) != 0)
		return state;
	read_of_thread((int)THREAD_OF_CLOCK(clock), "stat", text, sizeof(text));
	at = strrchr(text, ')'); /* the name is in parentheses, and may have some in it */
	if (at == NULL || at[1] != ' ')
		return state;
	state.state = at[2];
	for (int field = NAME_FIELD; field < CPU_FIELD && at != NULL; field++)
		at = strchr(at + 1, ' ');
	if (at != NULL)
		state.cpu = atoi(at + 1);
	return state;
}

/* As sched_setattr(2) has it; not every C library knows it, and those that do call it by the kernel's name. */
struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

void rota__sys_slice(uint64_t ns)
{
	struct attributes attributes = { .size = sizeof(attributes) };

	if (syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0) < 0 || attributes.policy != SCHED_OTHER)
		return;
	attributes.size = sizeof(attributes);
	attributes.runtime = ns;
	syscall(SYS_sched_setattr, 0, &attributes, 0);
}

int rota__sys_here(void)
{
	return rota__sys_result(sched_getcpu());
}

void rota__sys_move(int cpu)
{
	cpu_set_t before, there;

	if (sched_getcpu() == cpu || sched_getaffinity(0, sizeof(before), &before) < 0)
		return;
	CPU_ZERO(&there);
	CPU_SET((unsigned)cpu, &there);
	if (CPU_ISSET((unsigned)cpu, &before) && sched_setaffinity(0, sizeof(there), &there) == 0)
		sched_setaffinity(0, sizeof(before), &before);
}

int rota__sys_above_standard(int fd)
{
	int above;

	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	above = rota__sys_result(fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
	close(fd);
	return above;
}

bool rota__sys_has_sequences(void)
{
#ifdef ROTA__REPLACES
	/* Of glibc, whose tunables can do without. */
	return __rseq_size != 0 && syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, 0, 0) == 0 &&
	       syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 0, 0) == 0;
#else
	return false;
#endif
}

void rota__sys_cut_sequences(void)
{
	int rc;

	while ((rc = rota__sys_result(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 0, 0))) < 0) {
		if (rc == -ENOMEM) { /* a mask of CPUs, for a moment */
			rota__sys_yield();
			continue;
		}
		/* Allowed at first, and refused now, by a filter of seccomp(2). Who would go on could break a lock. */
		rota__log("membarrier(2) is refused (%s), which was allowed when the runtime was started",
			  strerror(-rc));
		abort();
	}
}

int rota__sys_eventfd(void)
{
	int rc = rota__fault(ROTA__FAULT_EVENTFD);

	if (rc < 0)
		return rc;
	return rota__sys_above_standard(rota__sys_result(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
}

void rota__sys_eventfd_write(int fd)
{
	const uint64_t one = 1;

	/* EAGAIN: the counter is full, so whoever waits has been told. */
	while (write(fd, &one, sizeof(one)) < 0 && rota__sys_errno() == EINTR) {
	}
}

void rota__sys_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

void rota__sys_yield(void)
{
	sched_yield();
}

void rota__sys_write_error(const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(STDERR_FILENO, text, len);

		if (n < 0 && rota__sys_errno() == EINTR)
			continue;
		if (n <= 0)
			return;
		text += n;
		len -= (size_t)n;
	}
}
