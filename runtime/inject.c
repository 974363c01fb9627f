/* SPDX-License-Identifier: MIT */
#include "inject_internal.h"

#include "spin_internal.h"
#include "task_internal.h"

void rota__inject_push(struct rota__inject *inject, rota_task *first, rota_task *last, unsigned n)
{
	last->queue_next = NULL;
	rota__spin_lock(&inject->lock);
	if (inject->last != NULL)
		inject->last->queue_next = first;
	else
		inject->first = first;
	inject->last = last;
	rota__count(&inject->length, n);
	rota__spin_unlock(&inject->lock);
}

rota_task *rota__inject_pop(struct rota__inject *inject, unsigned most)
{
	rota_task *last = NULL;
	unsigned n = 0;

	if (rota__inject_length(inject) == 0)
		return NULL;
	rota__spin_lock(&inject->lock);
	rota_task *first = inject->first;
	for (rota_task *task = first; task != NULL && n < most; task = task->queue_next) {
		last = task;
		n++;
	}
	if (n > 0) {
		inject->first = last->queue_next;
		if (inject->first == NULL)
			inject->last = NULL;
		last->queue_next = NULL;
		rota__count(&inject->length, -n);
	}
	rota__spin_unlock(&inject->lock);
	return n > 0 ? first : NULL;
}
