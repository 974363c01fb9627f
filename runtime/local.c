/* SPDX-License-Identifier: MIT */
/* A list per task, in its extra. Only the one who runs the task, or makes it, looks at it. */
#include "local.h"

#include <errno.h>

#include "alloc_internal.h"
#include "extra_internal.h"

#define LOCAL_ALIGN sizeof(void *)

struct rota__local {
	struct rota__local *next;
	const struct rota_local_key *key;
	void *value;
};

static struct rota__local **find(struct rota__extra *extra, const struct rota_local_key *key)
{
	struct rota__local **link = &extra->locals;

	while (*link != NULL && (*link)->key != key)
		link = &(*link)->next;
	return link;
}

static int add(struct rota__extra *extra, const struct rota_local_key *key, void *value)
{
	struct rota__local *local = rota__alloc(sizeof(*local), LOCAL_ALIGN);

	if (local == NULL)
		return -ENOMEM;
	*local = (struct rota__local){ extra->locals, key, value };
	extra->locals = local;
	return 0;
}

static void drop(const struct rota_local_key *key, void *value)
{
	if (key->drop != NULL)
		key->drop(value);
}

static void take_out(struct rota__local **link)
{
	struct rota__local *local = *link;
	const struct rota_local_key *key = local->key;
	void *value = local->value;

	*link = local->next;
	rota__free(local, sizeof(*local), LOCAL_ALIGN);
	drop(key, value);
}

int rota_local_set(const struct rota_local_key *key, void *value)
{
	rota_task *task = rota__task_current();
	struct rota__extra *extra;
	struct rota__local **link;
	void *former;

	if (task == NULL)
		return -ENXIO;
	if (value == NULL && rota__task_extra(task) == NULL)
		return 0;
	extra = rota__extra_of(task);
	if (extra == NULL)
		return -ENOMEM;
	if (extra->walked)
		return -EBUSY;
	link = find(extra, key);
	if (*link == NULL)
		return value != NULL ? add(extra, key, value) : 0;
	if (value == NULL) {
		take_out(link);
		return 0;
	}
	former = (*link)->value;
	(*link)->value = value;
	drop(key, former);
	return 0;
}

void *rota_local_get(const struct rota_local_key *key)
{
	rota_task *task = rota__task_current();
	struct rota__extra *extra = task != NULL ? rota__task_extra(task) : NULL;
	const struct rota__local *local;

	if (extra == NULL)
		return NULL;
	local = *find(extra, key);
	return local != NULL ? local->value : NULL;
}

static int inherit(rota_task *child, const struct rota__local *local)
{
	void *value = local->key->inherit != NULL ? local->key->inherit(local->value) : NULL;
	struct rota__extra *extra;

	if (value == NULL)
		return 0;
	extra = rota__extra_of(child);
	if (extra != NULL && add(extra, local->key, value) == 0)
		return 0;
	drop(local->key, value);
	return -ENOMEM;
}

int rota__locals_inherit(rota_task *child, struct rota__extra *parent)
{
	const bool walked = parent->walked; /* a key's function may spawn, too */
	int rc = 0;

	parent->walked = true;
	for (const struct rota__local *local = parent->locals; local != NULL && rc == 0; local = local->next)
		rc = inherit(child, local);
	parent->walked = walked;
	return rc;
}

void rota__locals_clear(struct rota__extra *extra)
{
	while (extra->locals != NULL)
		take_out(&extra->locals);
}
