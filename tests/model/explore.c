/* SPDX-License-Identifier: MIT */
/*
 * The search. An execution is determined by its choices: whose step is next, and which store a load reads. They are
 * kept on a stack; the last one that has another way left is taken the other way, and the program runs from its
 * beginning. At each step beyond what is repeated, the state is looked up: the threads' histories (what each did and
 * read, from which its local state follows), with the little of the memory that they do not tell. A state that was
 * there before leads nowhere new.
 *
 * What a thread does to words that no other thread touches, or that nobody changes, is no step of its own: it commutes
 * with all that others do. Which words those are is learned: when one turns out to be shared after all, the search
 * begins anew.
 */
#include "explore.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define MAX_CHOICES 4096
#define MAX_STEPS 1000
#define STACK_SIZE ((size_t)64 * 1024)
#define MAX_STATES ((size_t)1 << 22)
#define WORDS 1024
#define FOUND 1 /* exit codes */
#define NOT_DONE 3
#define LOCALS 64 /* bytes of thread-local variables */

struct thread model__threads[ALL_THREADS];
unsigned model__self;

static const struct model_scenario *scenario;
static unsigned thread_count;

static struct context {
	ucontext_t start;
	jmp_buf at;
	bool started;
	unsigned char locals[LOCALS];
} contexts[ALL_THREADS];
static unsigned char stacks[ALL_THREADS][STACK_SIZE] __attribute__((aligned(64)));

enum leave { LEAVE_NOT, LEAVE_DONE, LEAVE_SEEN, LEAVE_BOUND, LEAVE_AGAIN };
static jmp_buf home;
static bool starting; /* a thread runs up to its first step */

static struct {
	uint16_t ways, taken;
} choices[MAX_CHOICES];
static unsigned choice_count, choice_at;

static unsigned steps, preempted, spurious_left, futex_orders;
static uint64_t outcomes;
static uint64_t executions, merged, bounded;
static unsigned deepest;
static double time_limit = 600;

static struct {
	unsigned thread;
	const void *place;
	const char *what;
	const void *address;
	uint64_t value;
	int order;
	unsigned behind;
} trace[MAX_STEPS * 2];
static unsigned traced;

/* --- what was seen ---------------------------------------------------------------------------------------------- */

static uint64_t *states; /* hash table; 0: empty */
static size_t state_count;

uint64_t model__mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
	return hash ^ hash >> 29;
}

static uint64_t state_hash(void)
{
	uint64_t hash = model__memory_hash();

	for (unsigned t = 0; t <= thread_count; t++) {
		const struct thread *thread = &model__threads[t];

		hash = model__mix(hash, thread->history);
		hash = model__mix(hash, (uint64_t)thread->status << 32 | thread->futex_order);
	}
	if (scenario->preemptions != 0)
		hash = model__mix(hash, (uint64_t)model__self << 32 | preempted);
	hash = model__mix(hash, spurious_left);
	return hash != 0 ? hash : 1;
}

/* true: it was there. */
static bool seen_before(uint64_t hash)
{
	size_t i = hash % MAX_STATES;

	while (states[i] != 0 && states[i] != hash)
		i = (i + 1) % MAX_STATES;
	if (states[i] == hash)
		return true;
	if (state_count == MAX_STATES / 4 * 3)
		return false; /* full: goes on without, slower */
	states[i] = hash;
	state_count++;
	return false;
}

/* --- what is shared ----------------------------------------------------------------------------------------------- */

static struct {
	const volatile void *address;
	unsigned touched, written; /* bits: by which threads, in any execution */
} words[WORDS];

/* Whether others must be let in before the word is touched. */
static bool shared(const volatile void *address, bool write)
{
	size_t i = (uintptr_t)address / 4 % WORDS;
	bool before;

	for (unsigned tries = 0; words[i].address != NULL && words[i].address != address; tries++) {
		if (tries == WORDS)
			model__fail("more atomic words than WORDS");
		i = (i + 1) % WORDS;
	}
	before = words[i].written != 0 && (words[i].touched & (words[i].touched - 1)) != 0;
	words[i].address = address;
	words[i].touched |= 1u << model__self;
	words[i].written |= (unsigned)write << model__self;
	if (!before && words[i].written != 0 && (words[i].touched & (words[i].touched - 1)) != 0)
		_longjmp(home, LEAVE_AGAIN);
	return before;
}

/* --- reports ----------------------------------------------------------------------------------------------------- */

static void print_place(const void *place)
{
	char command[256], line[256] = "";
	FILE *answer;

	/* For humans only: without addr2line there is still the address. */
	snprintf(command, sizeof(command), "addr2line -s -e /proc/%d/exe %#zx 2>/dev/null", (int)getpid(),
		 (size_t)place - 1);
	answer = popen(command, "r");
	if (answer != NULL) {
		if (fgets(line, sizeof(line), answer) != NULL)
			line[strcspn(line, "\n")] = '\0';
		pclose(answer);
	}
	printf("%s", line);
}

static _Noreturn void report(const char *what)
{
	static const char *const orders[] = { "relaxed", "consume", "acquire", "release", "acq_rel", "seq_cst" };
	static const char *const statuses[] = { "ready", "asleep on a futex", "spinning", "done" };

	printf("%s: %s\nin execution %llu, thread %u:\n", scenario->name, what, (unsigned long long)executions + 1,
	       model__self);
	for (unsigned i = 0; i < traced; i++) {
		printf("  thread %u  %-11s %-8s", trace[i].thread, trace[i].what,
		       trace[i].order < 0 ? "" : orders[trace[i].order]);
		printf(" %p  %#-12llx ", trace[i].address, (unsigned long long)trace[i].value);
		print_place(trace[i].place);
		if (trace[i].behind != 0)
			printf("  (%u behind the latest)", trace[i].behind);
		printf("\n");
	}
	for (unsigned t = 1; t <= thread_count; t++)
		printf("  thread %u is %s\n", t, statuses[model__threads[t].status]);
	fflush(stdout);
	_exit(FOUND);
}

void model_failed(const char *file, int line, const char *what)
{
	char text[512];

	snprintf(text, sizeof(text), "%s:%d: failed: %s", file, line, what);
	report(text);
}

void model__fail(const char *what)
{
	report(what);
}

void model__trace(const void *place, const char *what, const void *address, uint64_t value, int order, unsigned behind)
{
	if (traced == sizeof(trace) / sizeof(trace[0]))
		return;
	trace[traced].thread = model__self;
	trace[traced].place = place;
	trace[traced].what = what;
	trace[traced].address = address;
	trace[traced].value = value;
	trace[traced].order = order;
	trace[traced].behind = behind;
	traced++;
}

void model_outcome(unsigned k)
{
	outcomes |= (uint64_t)1 << k;
}

/* --- threads ----------------------------------------------------------------------------------------------------- */

static struct {
	void *variable;
	size_t size;
} locals[4];
static unsigned local_count;

void model_thread_local(void *variable, size_t size)
{
	locals[local_count].variable = variable;
	locals[local_count].size = size;
	local_count++;
}

bool model__is_local(const void *address)
{
	for (unsigned i = 0; i < local_count; i++) {
		if ((uintptr_t)address - (uintptr_t)locals[i].variable < locals[i].size)
			return true;
	}
	return false;
}

static void swap_locals(unsigned from, unsigned to)
{
	size_t at = 0;

	for (unsigned i = 0; i < local_count; i++) {
		memcpy(contexts[from].locals + at, locals[i].variable, locals[i].size);
		memcpy(locals[i].variable, contexts[to].locals + at, locals[i].size);
		at += locals[i].size;
	}
}

static void leave(enum leave how)
{
	_longjmp(home, how);
}

void model__bound(void)
{
	leave(LEAVE_BOUND);
	abort();
}

/* Continues in thread `to`. Returns when the calling one is continued. */
static void switch_to(unsigned to)
{
	unsigned from = model__self;

	if (to == from)
		return;
	swap_locals(from, to);
	model__self = to;
	if (_setjmp(contexts[from].at) != 0)
		return;
	if (contexts[to].started)
		_longjmp(contexts[to].at, 1);
	contexts[to].started = true;
	setcontext(&contexts[to].start);
}

static bool can_run(const struct thread *thread)
{
	return thread->status == THREAD_READY || (thread->status == THREAD_SPINNING && model__changed(thread));
}

unsigned model__choose(unsigned n)
{
	if (n == 1)
		return 0;
	if (choice_at == choice_count) {
		if (choice_count == MAX_CHOICES)
			model__bound();
		choices[choice_count].ways = (uint16_t)n;
		choices[choice_count].taken = 0;
		choice_count++;
	}
	return choices[choice_at++].taken;
}

/* Who is next: the running thread if it can go on, or another. */
static void schedule(void)
{
	unsigned able[ALL_THREADS];
	unsigned n = 0, done = 0;
	unsigned self = model__self;
	const bool on = self != 0 && can_run(&model__threads[self]);

	if (on)
		able[n++] = self;
	for (unsigned t = 1; t <= thread_count; t++) {
		if (t != self && can_run(&model__threads[t]) &&
		    !(on && scenario->preemptions != 0 && preempted >= scenario->preemptions))
			able[n++] = t;
		done += model__threads[t].status == THREAD_DONE;
	}
	if (done == thread_count)
		leave(LEAVE_DONE);
	if (n == 0)
		model__fail("all threads are blocked for ever");
	if (choice_at == choice_count && seen_before(state_hash()))
		leave(LEAVE_SEEN);
	if (++steps > MAX_STEPS)
		model__bound();
	unsigned next = able[model__choose(n)];
	if (on && next != self)
		preempted++;
	model__threads[next].status = THREAD_READY;
	switch_to(next);
}

void model__step(const volatile void *address, bool write)
{
	if (model__self == 0)
		return;
	if (address != NULL && !shared(address, write)) {
		model__threads[model__self].now.clock[model__self]++;
		return;
	}
	if (starting)
		switch_to(0);
	else
		schedule();
	model__threads[model__self].now.clock[model__self]++;
}

void model__block(void)
{
	if (model__self == 0)
		model__fail("setup or finish would wait");
	if (starting)
		switch_to(0);
	else
		schedule();
}

bool model__spurious(void)
{
	if (spurious_left == 0 || model__choose(2) == 0)
		return false;
	spurious_left--;
	return true;
}

void model_spin(void)
{
	struct thread *thread = &model__threads[model__self];

	thread->status = THREAD_SPINNING;
	thread->history = model__mix(thread->history, 's');
	model__block();
	model__spun();
}

void model_futex_wait(const uint32_t *word, uint32_t expected, bool forever)
{
	struct thread *thread = &model__threads[model__self];

	model__step(word, false);
	/* The kernel compares and queues in one step; a wake that comes later finds the sleeper. */
	uint32_t value = (uint32_t)model__latest(word, sizeof(*word));
	model__trace(__builtin_return_address(0), "futex wait", word, value, -1, 0);
	if (value != expected || !forever || model__spurious()) {
		thread->history = model__mix(thread->history, 'f');
		return;
	}
	thread->status = THREAD_FUTEX;
	thread->futex = word;
	thread->futex_order = ++futex_orders;
	thread->history = model__mix(thread->history, 'F');
	model__block();
	thread->history = model__mix(thread->history, 'w');
}

void model_futex_wake(const uint32_t *word, unsigned count)
{
	struct thread *thread = &model__threads[model__self];

	model__step(word, true);
	model__trace(__builtin_return_address(0), "futex wake", word, count, -1, 0);
	thread->history = model__mix(thread->history, 'k');
	for (; count > 0; count--) {
		struct thread *first = NULL;

		for (unsigned t = 1; t <= thread_count; t++) {
			struct thread *other = &model__threads[t];

			if (other->status == THREAD_FUTEX && other->futex == word &&
			    (first == NULL || other->futex_order < first->futex_order))
				first = other;
		}
		if (first == NULL)
			return;
		first->status = THREAD_READY;
		first->futex_order = 0;
	}
}

static void body(void)
{
	scenario->thread[model__self - 1]();
	if (starting)
		switch_to(0); /* it had no step at all */
	model__threads[model__self].status = THREAD_DONE;
	schedule();
	abort();
}

/* --- one execution, and all of them ------------------------------------------------------------------------------- */

static void begin(void)
{
	memset(model__threads, 0, sizeof(model__threads));
	model__memory_reset();
	model__shadow_begin();
	model__self = 0;
	steps = preempted = traced = futex_orders = choice_at = 0;
	spurious_left = scenario->spurious;
	for (unsigned i = 0; i < local_count; i++)
		memset(locals[i].variable, 0, locals[i].size);
	model__threads[0].now.clock[0] = 1;
	contexts[0].started = true;
	model_reset_seams();
	scenario->setup();
	/* It happened before all, so nothing of it need be remembered. */
	model__memory_reset();
	model__shadow_reset();
	memset(&model__threads[0], 0, sizeof(model__threads[0]));
	traced = 0;
	for (unsigned t = 1; t <= thread_count; t++) {
		struct context *context = &contexts[t];

		model__threads[t].now = model__threads[0].now;
		model__threads[t].now.clock[t] = 1;
		memset(context->locals, 0, sizeof(context->locals));
		context->started = false;
		getcontext(&context->start);
		context->start.uc_stack.ss_sp = stacks[t];
		context->start.uc_stack.ss_size = STACK_SIZE;
		context->start.uc_link = NULL;
		makecontext(&context->start, body, 0);
		starting = true;
		switch_to(t);
		starting = false;
	}
}

/* As if all had been joined. */
static void end(void)
{
	swap_locals(model__self, 0);
	model__self = 0;
	for (unsigned t = 1; t <= thread_count; t++)
		model__learn(&model__threads[0].now, &model__threads[t].now);
	if (scenario->finish != NULL)
		scenario->finish();
	executions++;
}

static enum leave execute(void)
{
	const enum leave how = (enum leave)_setjmp(home);

	switch (how) {
	case LEAVE_NOT:
		begin();
		schedule();
		break;
	case LEAVE_DONE:
		end();
		break;
	case LEAVE_SEEN:
		merged++;
		break;
	case LEAVE_BOUND:
		bounded++;
		break;
	case LEAVE_AGAIN:
		starting = false;
		break;
	}
	if (choice_at > deepest)
		deepest = choice_at;
	return how;
}

/* Takes the last choice that has another way left. false: there is none. */
static bool backtrack(void)
{
	while (choice_count > 0 && choices[choice_count - 1].taken + 1 == choices[choice_count - 1].ways)
		choice_count--;
	if (choice_count == 0)
		return false;
	choices[choice_count - 1].taken++;
	return true;
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void forget(void)
{
	executions = merged = bounded = outcomes = 0;
	deepest = choice_count = 0;
	if (state_count != 0)
		memset(states, 0, MAX_STATES * sizeof(*states));
	state_count = 0;
}

static int explore(void)
{
	const double start = seconds();
	bool more = true;
	uint64_t rounds = 0;

	for (thread_count = 0; scenario->thread[thread_count] != NULL; thread_count++) {
	}
	memset(words, 0, sizeof(words));
	forget();
	while (more) {
		if (execute() == LEAVE_AGAIN) {
			forget();
			continue;
		}
		more = backtrack();
		if ((++rounds & 1023) == 0 && seconds() - start > time_limit)
			break;
	}
	printf("%-34s %9llu executions, %9llu met a known state, %8zu states, %4u choices deep, %.1f s: %s\n",
	       scenario->name, (unsigned long long)executions, (unsigned long long)merged, state_count, deepest,
	       seconds() - start,
	       more                    ? "NOT DONE: out of time"
	       : bounded != 0          ? "NOT DONE: some too long"
	       : scenario->preemptions ? "all with bounded preemptions"
				       : "all");
	if (outcomes != scenario->outcomes && !more) {
		printf("%s: outcomes %#llx, expected %#llx\n", scenario->name, (unsigned long long)outcomes,
		       (unsigned long long)scenario->outcomes);
		return FOUND;
	}
	fflush(stdout);
	return more || bounded != 0 ? NOT_DONE : 0;
}

static void on_fault(int signal)
{
	(void)signal;
	model__fail("memory fault: if the address is 0, a function that is not linked; see stubs.c and meson.build");
}

static void catch_faults(void)
{
	static unsigned char stack[STACK_SIZE];
	const stack_t own = { .ss_sp = stack, .ss_size = sizeof(stack) };
	const struct sigaction action = { .sa_handler = on_fault, .sa_flags = SA_ONSTACK };

	sigaltstack(&own, NULL);
	sigaction(SIGSEGV, &action, NULL);
}

int main(int argc, char **argv)
{
	int result = 0;

	if (argc > 1)
		time_limit = atof(argv[1]);
	states = calloc(MAX_STATES, sizeof(*states));
	if (states == NULL)
		return 2;
	catch_faults();
	/* What was found ends the search; a search that did not end may still be followed by one that finds. */
	for (scenario = model_scenarios; scenario->name != NULL && result != FOUND; scenario++) {
		int here = argc <= 2 || strcmp(argv[2], scenario->name) == 0 ? explore() : 0;

		if (here != 0)
			result = here;
	}
	return result;
}
