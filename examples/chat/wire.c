/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "wire.h"

int chat_wire_init(struct chat_wire *wire, int fd)
{
	const struct rota_stream_buffers buffers = {
		.in = wire->in,
		.in_size = sizeof(wire->in),
		.out = wire->out,
		.out_size = sizeof(wire->out),
	};
	int rc = rota_stream_init_fd(&wire->stream, fd, &buffers);

	if (rc < 0)
		rota_close(fd);
	return rc;
}

int chat_skip_line(struct rota_stream *s)
{
	ssize_t filled;

	while ((filled = rota_stream_fill(s, 1)) > 0) {
		size_t len;
		const char *bytes = rota_stream_peek(s, &len), *end = memchr(bytes, '\n', len);

		rota_stream_consume(s, end != NULL ? (size_t)(end - bytes) + 1 : len);
		if (end != NULL)
			return 1;
	}
	return (int)filled;
}

int chat_receive(struct chat_wire *wire, struct chat_message *ret, const char **ret_reason)
{
	char line[CHAT_LINE_MAX];
	size_t len;
	int rc = rota_stream_read_line(&wire->stream, line, sizeof(line), &len);

	if (rc == -EMSGSIZE) {
		*ret_reason = "the line is too long";
		rc = chat_skip_line(&wire->stream);
		return rc < 0 ? rc : -EBADMSG;
	}
	if (rc <= 0)
		return rc;
	rc = chat_parse(ret, line, len, ret_reason);
	return rc < 0 ? rc : 1;
}

int chat_send_lines(struct chat_wire *wire, const char *lines, size_t len)
{
	ssize_t n = rota_stream_write_all(&wire->stream, lines, len);

	if (n != (ssize_t)len)
		return n < 0 ? (int)n : -EPIPE;
	return rota_stream_flush(&wire->stream);
}

int chat_send(struct chat_wire *wire, const struct chat_message *message)
{
	char line[CHAT_LINE_MAX];
	int len = chat_format(line, message);

	return len < 0 ? len : chat_send_lines(wire, line, (size_t)len);
}
