/* SPDX-License-Identifier: MIT */
/* Messages over a stream, as both sides of the chat send and receive them. */
#ifndef CHAT_WIRE_H
#define CHAT_WIRE_H

#include <rota.h>

#include "message.h"

/* A connection's stream and its buffers, each of which holds a line. */
struct chat_wire {
	struct rota_stream stream;
	char in[CHAT_LINE_MAX], out[CHAT_LINE_MAX];
};

/* The wire owns the descriptor from now on; when this fails it is closed. */
int chat_wire_init(struct chat_wire *wire, int fd);

/*
 * Waits for the next message: 1; 0 at the end of the stream. -EBADMSG: a line came that is none, it has been taken off the
 * stream, and *ret_reason tells why; the next call goes on behind it. Other errors are the stream's.
 */
int chat_receive(struct chat_wire *wire, struct chat_message *ret, const char **ret_reason);

/* Drops what comes up to the end of the line, which was too long. 1; 0 at the end of the stream. */
int chat_skip_line(struct rota_stream *stream);

/* Sends lines that are complete, or a message. 0, or an error, after which part of a line may have been sent. */
int chat_send_lines(struct chat_wire *wire, const char *lines, size_t len);
int chat_send(struct chat_wire *wire, const struct chat_message *message);

#endif
