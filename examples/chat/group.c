/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "group.h"

static int group_new(struct chat_group **ret, const char *name)
{
	struct chat_group *group = calloc(1, sizeof(*group));
	int rc = group != NULL ? 0 : -ENOMEM;

	if (rc == 0)
		rc = rota_broadcast_init(&group->lines, sizeof(struct chat_line), CHAT_BACKLOG);
	if (rc < 0) {
		free(group);
		return rc;
	}
	snprintf(group->name, sizeof(group->name), "%s", name);
	*ret = group;
	return 0;
}

/* The link that points to the group of this name, or to the end of the list. */
static struct chat_group **find(struct chat_groups *groups, const char *name)
{
	struct chat_group **link = &groups->first;

	while (*link != NULL && strcmp((*link)->name, name) != 0)
		link = &(*link)->next;
	return link;
}

int chat_group_enter(struct chat_groups *groups, const char *name, struct chat_group **ret)
{
	struct chat_group **link;
	int rc = 0;

	rota_mutex_lock(&groups->mutex);
	link = find(groups, name);
	if (*link == NULL) {
		rc = groups->count < CHAT_GROUPS ? group_new(link, name) : -ENOSPC;
		groups->count += rc == 0;
	}
	if (rc == 0) {
		(*link)->members++;
		*ret = *link;
	}
	rota_mutex_unlock(&groups->mutex);
	return rc;
}

void chat_group_leave(struct chat_groups *groups, struct chat_group *group)
{
	bool last;

	rota_mutex_lock(&groups->mutex);
	last = --group->members == 0;
	if (last) {
		*find(groups, group->name) = group->next;
		groups->count--;
	}
	rota_mutex_unlock(&groups->mutex);
	if (last) {
		rota_broadcast_deinit(&group->lines); /* nobody can be waiting */
		free(group);
	}
}
