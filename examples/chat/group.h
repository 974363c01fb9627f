/* SPDX-License-Identifier: MIT */
/*
 * Groups: each is a broadcast of lines. What its members have not been sent yet lies in the broadcast's ring, once for all of
 * them, however many are slow: that is what bounds a group's memory, and why nobody who posts waits for anybody. A group
 * comes with its first member and goes with its last.
 */
#ifndef CHAT_GROUP_H
#define CHAT_GROUP_H

#include <rota.h>

#include "message.h"

enum {
	CHAT_GROUPS = 1024, /* at once; 64 MiB of rings */
	CHAT_BACKLOG = 64,  /* lines that a member may be behind before it misses some; a power of two */
};

/* What is broadcast: a message, ready to be sent. */
struct chat_line {
	size_t len;
	char bytes[CHAT_LINE_MAX];
};

struct chat_group {
	struct rota_broadcast lines;
	char name[CHAT_GROUP_MAX + 1];
	/* private to group.c */
	struct chat_group *next;
	unsigned members;
};

struct chat_groups {
	struct rota_mutex mutex;
	struct chat_group *first;
	unsigned count;
};

/* clang-format off */
#define CHAT_GROUPS_INIT { ROTA_MUTEX_INIT, NULL, 0 }
/* clang-format on */

/* One more member. -ENOSPC: there are too many groups; -ENOMEM. */
int chat_group_enter(struct chat_groups *groups, const char *name, struct chat_group **ret);

/* One member less; after the last one the group is gone. */
void chat_group_leave(struct chat_groups *groups, struct chat_group *group);

#endif
