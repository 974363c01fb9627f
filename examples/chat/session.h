/* SPDX-License-Identifier: MIT */
/* The server's side of one connection. */
#ifndef CHAT_SESSION_H
#define CHAT_SESSION_H

#include "member.h"

enum {
	CHAT_MEMBERSHIPS = 16, /* groups that a client may be in at once */
	CHAT_GRACE_MS = 2000,  /* for a client to take what it still gets when its session ends */
};

struct chat_session {
	uint64_t number;   /* of the client */
	uint64_t patience; /* ns: for a client that leaves a group to take what it still gets of it */
	struct chat_groups *groups;
	/* private to session.c */
	struct chat_wire wire;
	struct chat_outlet outlet;
	struct chat_member *members;
	unsigned member_count;
};

/*
 * Serves the client until its input ends, the connection breaks, or the caller is cancelled; then sends what is left for it,
 * for CHAT_GRACE_MS at most, and closes the descriptor.
 */
void chat_session_run(struct chat_session *session, int fd);

/* Tells a client that there is no room for it, and closes the descriptor. */
void chat_session_refuse(int fd);

#endif
