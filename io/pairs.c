/* SPDX-License-Identifier: MIT */
#include "pairs_internal.h"

#include <stddef.h>

enum { BEFORE, BEHIND };

static struct rota_op **links(struct rota_op *op)
{
	return ((struct rota_pooled_op *)(void *)((char *)op - offsetof(struct rota_pooled_op, op_)))->links_;
}

static struct rota_op **list_of(struct rota__pairs *pairs, const struct rota_op *op)
{
	return &pairs->polls[(unsigned)op->second_fd_ % ROTA__PAIRS_LISTS];
}

/* In no list: it is before itself. */
void rota__op_pair(struct rota_op *op, int second_fd, uint16_t second_closes)
{
	op->pair_ = 1;
	op->second_fd_ = second_fd;
	op->second_closes_ = second_closes;
	links(op)[BEFORE] = op;
}

void rota__pairs_add(struct rota__pairs *pairs, struct rota_op *op)
{
	struct rota_op **first = list_of(pairs, op);

	rota__spin_lock(&pairs->lock);
	links(op)[BEFORE] = NULL;
	links(op)[BEHIND] = *first;
	if (*first != NULL)
		links(*first)[BEFORE] = op;
	*first = op;
	rota__fetch_add(&pairs->count, 1, SEQ_CST); /* partner: rota__pairs_any */
	rota__spin_unlock(&pairs->lock);
}

static void take_out(struct rota__pairs *pairs, struct rota_op *op)
{
	struct rota_op *before = links(op)[BEFORE], *behind = links(op)[BEHIND];

	if (before != NULL)
		links(before)[BEHIND] = behind;
	else
		*list_of(pairs, op) = behind;
	if (behind != NULL)
		links(behind)[BEFORE] = before;
	links(op)[BEFORE] = op;
	rota__fetch_sub(&pairs->count, 1, RELAXED); /* who sees the former number looks in vain */
}

void rota__pairs_remove(struct rota__pairs *pairs, struct rota_op *op)
{
	rota__spin_lock(&pairs->lock);
	if (links(op)[BEFORE] != op)
		take_out(pairs, op);
	rota__spin_unlock(&pairs->lock);
}

struct rota_op *rota__pairs_next(struct rota_op *op)
{
	return links(op)[BEHIND];
}
