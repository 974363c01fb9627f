/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "interrupt_internal.h"

#include <liburing.h>
#include <signal.h>
#include <unistd.h>

#include "../runtime/sys_internal.h"
#include "../runtime/time.h"
#include "sys_internal.h"

#define PAUSE_FIRST ROTA_MS(1)
#define PAUSE_LAST ROTA_MS(64)

#ifndef sigev_notify_thread_id /* glibc before 2.41 */
#define sigev_notify_thread_id _sigev_un._tid
#endif

/* --- the signal --------------------------------------------------------------------------------------------------- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int the_signal; /* 0: there is none to be had; constant after `once` */

static void on_signal(int number)
{
	(void)number; /* that it came is all: the call ends with EINTR */
}

static void choose_signal(void)
{
	struct sigaction action = { .sa_handler = on_signal }, former;

	sigemptyset(&action.sa_mask);
	for (int number = SIGRTMAX; number >= SIGRTMIN && the_signal == 0; number--) {
		if (sigaction(number, NULL, &former) == 0 && !(former.sa_flags & SA_SIGINFO) &&
		    former.sa_handler == SIG_DFL && sigaction(number, &action, NULL) == 0)
			the_signal = number;
	}
}

void rota__interrupts_prepare(void)
{
	pthread_once(&once, choose_signal);
}

void rota__interrupts_let(bool through)
{
	sigset_t set;

	if (the_signal == 0)
		return;
	sigemptyset(&set);
	sigaddset(&set, the_signal);
	pthread_sigmask(through ? SIG_UNBLOCK : SIG_BLOCK, &set, NULL);
}

bool rota__interrupts_alarm(timer_t *ret)
{
	static const struct itimerspec each = { .it_interval = { 0, PAUSE_FIRST }, .it_value = { 0, PAUSE_FIRST } };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = the_signal };

	event.sigev_notify_thread_id = gettid();
	if (the_signal == 0 || timer_create(CLOCK_MONOTONIC, &event, ret) < 0)
		return false;
	timer_settime(*ret, 0, &each, NULL);
	return true;
}

void rota__interrupts_alarm_end(timer_t alarm)
{
	timer_delete(alarm);
}

static void send_signal(const struct rota__interruptible *to)
{
	if (the_signal != 0 && rota__fault(ROTA__FAULT_INTERRUPT) == 0)
		pthread_kill(to->thread, the_signal);
}

/* --- the list ------------------------------------------------------------------------------------------------------ */

void rota__interrupts_init(struct rota__interrupts *interrupts)
{
	*interrupts = (struct rota__interrupts){ .again = ROTA_NEVER };
}

bool rota__op_waits_for_ever(const struct rota_op *op)
{
	switch (op->opcode_) {
	case IORING_OP_OPENAT:
	case IORING_OP_OPENAT2:
	case IORING_OP_SPLICE:
	case IORING_OP_ACCEPT:
		return true;
	default:
		return rota__sys_call(op)->kind == ROTA__CALL_MOVES && op->offset_ == UINT64_MAX &&
		       !rota__sys_is_file(op->fd_);
	}
}

void rota__interrupts_enter(struct rota__interrupts *interrupts, struct rota__interruptible *self,
			    const struct rota_op *op)
{
	*self = (struct rota__interruptible){ .next = interrupts->first, .op = op, .thread = pthread_self() };
	interrupts->first = self;
}

void rota__interrupts_leave(struct rota__interrupts *interrupts, struct rota__interruptible *self)
{
	struct rota__interruptible **link = &interrupts->first;

	while (*link != self)
		link = &(*link)->next;
	*link = self->next;
}

static void ask(struct rota__interrupts *interrupts, struct rota__interruptible *call)
{
	call->asked = true;
	send_signal(call);
	interrupts->pause = PAUSE_FIRST;
	interrupts->again = rota__sys_clock() + PAUSE_FIRST;
}

bool rota__interrupts_ask(struct rota__interrupts *interrupts, const struct rota_op *op)
{
	struct rota__interruptible *at = interrupts->first;

	while (at != NULL && at->op != op)
		at = at->next;
	if (at != NULL)
		ask(interrupts, at);
	return at != NULL;
}

/* Whether its call waits for the descriptor: one that opens has a directory there. */
static bool waits_for(const struct rota_op *op, int fd)
{
	return rota__op_is_about(op, fd) && op->opcode_ != IORING_OP_OPENAT && op->opcode_ != IORING_OP_OPENAT2;
}

bool rota__interrupts_ask_all(struct rota__interrupts *interrupts, int fd)
{
	bool any = false;

	for (struct rota__interruptible *at = interrupts->first; at != NULL; at = at->next) {
		if (!waits_for(at->op, fd))
			continue;
		ask(interrupts, at);
		any = the_signal != 0; /* else it goes on for as long as it likes */
	}
	return any;
}

bool rota__interrupts_any(const struct rota__interrupts *interrupts, int fd, bool asked)
{
	const struct rota__interruptible *at = interrupts->first;

	while (at != NULL && !((at->asked || !asked) && waits_for(at->op, fd)))
		at = at->next;
	return at != NULL;
}

void rota__interrupts_repeat(struct rota__interrupts *interrupts)
{
	const uint64_t now = interrupts->again != ROTA_NEVER ? rota__sys_clock() : 0;
	bool any = false;

	if (now < interrupts->again)
		return;
	for (const struct rota__interruptible *at = interrupts->first; at != NULL; at = at->next) {
		if (at->asked)
			send_signal(at);
		any |= at->asked;
	}
	if (interrupts->pause < PAUSE_LAST)
		interrupts->pause *= 2;
	interrupts->again = any ? now + interrupts->pause : ROTA_NEVER;
}
