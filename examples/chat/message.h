/* SPDX-License-Identifier: MIT */
/*
 * What client and server say to each other: a JSON object a line. README.md has the protocol. A message here is what such an
 * object means; what is not well formed never becomes one.
 */
#ifndef CHAT_MESSAGE_H
#define CHAT_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

enum {
	CHAT_LINE_MAX = 1024, /* bytes of a line, its end included */
	CHAT_GROUP_MAX = 32,  /* bytes of a group's name */
};

enum chat_type {
	CHAT_JOIN, /* from the client */
	CHAT_LEAVE,
	CHAT_POST,
	CHAT_JOINED, /* from the server */
	CHAT_LEFT,
	CHAT_MESSAGE,
	CHAT_MISSED,
	CHAT_ERROR,
};

/* Which of the fields count depends on the type; the others are 0. */
struct chat_message {
	enum chat_type type;
	uint64_t from;  /* the number of the client that posted */
	uint64_t count; /* of messages that were missed */
	char group[CHAT_GROUP_MAX + 1];
	char text[CHAT_LINE_MAX];
};

/* Reads a line without its end. 0; -EBADMSG: it says nothing that is known here, and *ret_reason tells why. */
int chat_parse(struct chat_message *ret, const char *line, size_t len, const char **ret_reason);

/* Writes a line with its end, and a NUL behind it. Its length; -EMSGSIZE: it is longer than a line may be; -ENOMEM. */
int chat_format(char line[CHAT_LINE_MAX], const struct chat_message *message);

#endif
