/* SPDX-License-Identifier: MIT */
/*
 * A close that waits for the operations on its descriptor: it goes on once, when the last of them has ended, whoever
 * begins or is refused meanwhile; and one that had nothing to do with it is not let go in its place. A splice keeps two closes,
 * of both its descriptors, and lets each go once. A call in place is waited for, or sees the close.
 */
#include "../../io/closing_internal.h"

#include "../../io/sys_internal.h"
#include "model.h"

static const struct rota__call waits = { .kind = ROTA__CALL_WAITS };

const struct rota__call *rota__sys_call(const struct rota_op *op)
{
	(void)op;
	return &waits;
}

/* All on descriptor 0, save the second side of a splice. */
static struct rota_atomic_u32 counts[2];
static struct rota__closing closing;
static struct rota_op first, second, third; /* operations */
static struct rota_op close_first, close_again;
static unsigned made; /* plain: to make a close twice at once is a data race */
static bool again;

static void reset(void)
{
	for (int fd = 0; fd < 2; fd++)
		counts[fd].value = rota__fd_closes_table[fd].value = 0;
	closing = (struct rota__closing){ .counts = counts };
}

static void setup(void)
{
	reset();
	close_first = close_again = (struct rota_op){ .fd_ = 0 };
	made = 0;
	again = false;
	model_check(rota__closing_enter(&closing, &first));
}

static void setup_two(void)
{
	setup();
	model_check(rota__closing_enter(&closing, &second));
}

static void setup_closing(void)
{
	setup();
	model_check(rota__closing_begin(&closing, &close_first));
}

static bool end(const struct rota_op *op)
{
	const struct rota_op *closer = rota__closing_leave(&closing, op);

	model_check(closer == NULL || closer == &close_first);
	if (closer == NULL)
		return false;
	made++;
	return true;
}

static void end_first(void)
{
	end(&first);
}

static void end_second(void)
{
	end(&second);
}

static void begin_close(void)
{
	if (!rota__closing_begin(&closing, &close_first))
		made++;
}

static void made_once(void)
{
	model_check(made == 1 && counts[0].value == 0 && closing.closers == NULL);
}

/* One is refused. If that lets the close go on, the number is given out again, waited for, and closed again. */
static void refused_then_again(void)
{
	rota__closing_enter(&closing, &second);
	again = end(&second);
	model_outcome(again);
	if (!again)
		return;
	model_check(rota__closing_enter(&closing, &third));
	model_check(rota__closing_begin(&closing, &close_again));
}

static void again_waits_for_third(void)
{
	if (again)
		model_check(rota__closing_leave(&closing, &third) == &close_again);
	made_once();
}

/* --- a splice, whose two sides are closed by two ---------------------------------------------------------------------- */

static struct rota_op splicing, close_from;
static unsigned from_made; /* plain, as `made` */

static void setup_splice(void)
{
	reset();
	splicing = (struct rota_op){ .opcode_ = IORING_OP_SPLICE, .fd_ = 0, .second_fd_ = 1, .pair_ = 1 };
	close_first = (struct rota_op){ .fd_ = 0 };
	close_from = (struct rota_op){ .fd_ = 1 };
	made = from_made = 0;
	model_check(rota__closing_enter(&closing, &splicing));
}

static void end_splice(void)
{
	const struct rota_op *closer = rota__closing_leave(&closing, &splicing);

	for (; closer != NULL; closer = closer->backlog_next_) {
		unsigned *count = closer == &close_first ? &made : &from_made;

		++*count;
	}
}

static void begin_close_from(void)
{
	if (!rota__closing_begin(&closing, &close_from))
		from_made++;
}

static void both_made_once(void)
{
	made_once();
	model_check(from_made == 1 && counts[1].value == 0);
}

/* --- a call made in place ------------------------------------------------------------------------------------------- */

static void setup_call(void)
{
	reset();
	close_first = (struct rota_op){ .fd_ = 0 };
	made = 0;
}

/* By who began before the close. It is not made while the close is, or later. */
static void call(void)
{
	const bool open = rota__closing_call_begin(&closing, 0, 0);

	model_outcome(open);
	if (open)
		model_check(made == 0);
	if (rota__closing_call_end(&closing, 0) != NULL)
		made++;
}

const struct model_scenario model_scenarios[] = {
	{ "closing: begins, the last ends", setup, { begin_close, end_first }, made_once, 0, 0, 0 },
	{ "closing: begins, both end", setup_two, { begin_close, end_first, end_second }, made_once, 0, 0, 0 },
	{ "closing: one ends, one is refused",
	  setup_closing,
	  { end_first, refused_then_again },
	  again_waits_for_third,
	  0x3,
	  0,
	  0 },
	{ "closing: a splice and both its sides",
	  setup_splice,
	  { end_splice, begin_close, begin_close_from },
	  both_made_once,
	  0,
	  0,
	  0 },
	{ "closing: begins, a call is made in place", setup_call, { begin_close, call }, made_once, 0x3, 0, 0 },
	{ .name = NULL },
};
