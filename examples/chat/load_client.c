/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

static void name_group(struct chat_message *message, unsigned group)
{
	snprintf(message->group, sizeof(message->group), "group-%u", group);
}

static int receive(struct load_client *c, struct chat_message *ret)
{
	const char *reason;
	int rc = chat_receive(&c->wire, ret, &reason);

	if (rc > 0 && ret->type == CHAT_ERROR)
		fprintf(stderr, "the server says: %s\n", ret->text);
	if (rc == -EBADMSG)
		fprintf(stderr, "the server sent what is no message: %s\n", reason);
	return rc > 0 ? 0 : rc == 0 || rc == -EBADMSG ? -EPROTO : rc;
}

static int join(struct load_client *c, unsigned group)
{
	struct chat_message message = { .type = CHAT_JOIN };
	int rc;

	name_group(&message, group);
	rc = chat_send(&c->wire, &message);
	if (rc == 0)
		rc = receive(c, &message);
	return rc == 0 && message.type != CHAT_JOINED ? -EPROTO : rc;
}

int load_client_connect(struct load_client *c, const char *port, bool dead)
{
	const struct rota_tcp_options options = { .receive_buffer = dead ? 8 * 1024 : 0 };
	int rc, fd = rota_tcp_connect_with("127.0.0.1", port, &options);

	if (fd < 0)
		return fd;
	rc = chat_wire_init(&c->wire, fd);
	if (rc < 0)
		return rc;
	for (unsigned i = 0; i < c->group_count && rc == 0; i++)
		rc = join(c, c->groups[i]);
	if (rc < 0)
		load_client_close(c);
	return rc;
}

int load_client_post(struct load_client *c, unsigned group, uint64_t due, size_t bytes)
{
	struct chat_message message = { .type = CHAT_POST };
	int len = snprintf(message.text, sizeof(message.text), "%" PRIu64 " ", due);

	name_group(&message, group);
	while ((size_t)len < bytes && (size_t)len < sizeof(message.text) - 1)
		message.text[len++] = 'x';
	return chat_send(&c->wire, &message);
}

int load_client_leave(struct load_client *c)
{
	int rc = 0;

	for (unsigned i = 0; i < c->group_count && rc == 0; i++) {
		struct chat_message message = { .type = CHAT_LEAVE };

		name_group(&message, c->groups[i]);
		rc = chat_send(&c->wire, &message);
	}
	return rc;
}

static void sample(struct load_samples *samples, const char *text, uint64_t from)
{
	uint64_t due = strtoull(text, NULL, 10);
	size_t at;

	if (due < from)
		return;
	at = samples->count++;
	if (at < samples->size)
		samples->ns[at] = rota_now() - due;
}

int load_client_read(struct load_client *c, struct load_samples *samples, uint64_t from)
{
	struct chat_message message;
	int rc;

	for (unsigned left = c->group_count; left > 0;) {
		rc = receive(c, &message);
		if (rc < 0)
			return rc;
		switch (message.type) {
		case CHAT_MESSAGE:
			c->received++;
			sample(samples, message.text, from);
			break;
		case CHAT_MISSED:
			c->missed += message.count;
			break;
		case CHAT_LEFT:
			left--;
			break;
		default:
			return -EPROTO;
		}
	}
	return 0;
}

void load_client_close(struct load_client *c)
{
	rota_stream_close(&c->wire.stream);
}
