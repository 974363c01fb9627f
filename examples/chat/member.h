/* SPDX-License-Identifier: MIT */
/*
 * A membership: one client in one group. A task of its own waits for the group's lines and sends them to the client, at the
 * client's pace. When the client is too slow for the group's ring, the lines that it missed are counted, and it is told.
 */
#ifndef CHAT_MEMBER_H
#define CHAT_MEMBER_H

#include "group.h"
#include "wire.h"

/* Where the memberships of a client send to. */
struct chat_outlet {
	struct chat_wire *wire;
	struct rota_mutex mutex; /* one line at a time */
	int fd;
};

struct chat_member {
	struct chat_member *next; /* its client's */
	struct chat_group *group;
	/* private to member.c */
	struct chat_outlet *outlet;
	struct rota_broadcast_receiver receiver;
	rota_task *task;
};

/* Sends a message, or lines, to the client; whole, unless the caller is cancelled: then, as after an error, the connection
 * is shut down, since half a line may have been sent. */
int chat_outlet_send(struct chat_outlet *outlet, const struct chat_message *message);
int chat_outlet_send_line(struct chat_outlet *outlet, const struct chat_line *line);

/* Enters a group: what is posted from now on is for the client. -ENOSPC: there are too many groups; -ENOMEM. */
int chat_member_new(struct chat_member **ret, struct chat_groups *groups, const char *name, struct chat_outlet *outlet);

/* Starts the task. */
int chat_member_start(struct chat_member *member);

/* Asks the task to send what is in the group's ring, and to end. */
void chat_member_stop(struct chat_member *member);

/* Waits for that, at most until the deadline (0); -ETIMEDOUT or -ECANCELED: it goes on. */
int chat_member_wait(struct chat_member *member, uint64_t deadline);

/* Before the start, or after chat_member_wait has returned 0. */
void chat_member_free(struct chat_member *member, struct chat_groups *groups);

#endif
