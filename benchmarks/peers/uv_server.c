/* SPDX-License-Identifier: MIT */
/* The echo server that the benchmark rate loads from outside: uv-peer echo_server --port N. One loop, whatever
 * --workers says. */
#include <stdlib.h>

#include "uv.h"

enum { BUFFER = 4096 };

/* What has come is sent back before more is read, so that one buffer will do. */
struct guest {
	uv_tcp_t tcp;
	uv_write_t write;
	char buffer[BUFFER];
};

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

static void give_buffer(uv_handle_t *handle, size_t size, uv_buf_t *ret)
{
	(void)size;
	*ret = uv_buf_init(((struct guest *)handle)->buffer, BUFFER);
}

static void free_guest(uv_handle_t *handle)
{
	free(handle);
}

static void on_written(uv_write_t *write, int status)
{
	if (status == 0)
		uv_read_start(write->handle, give_buffer, on_read);
	else if (!uv_is_closing((uv_handle_t *)write->handle))
		uv_close((uv_handle_t *)write->handle, free_guest);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct guest *guest = (struct guest *)stream;
	uv_buf_t answer = uv_buf_init(buf->base, n > 0 ? (unsigned)n : 0);
	int sent;

	if (n == 0)
		return;
	sent = n < 0 ? (int)n : uv_try_write(stream, &answer, 1);
	if (sent < 0 && sent != UV_EAGAIN) {
		uv_close((uv_handle_t *)stream, free_guest);
	} else if (sent < n) {
		/* The rest when there is room for it. */
		sent = sent > 0 ? sent : 0;
		answer = uv_buf_init(buf->base + sent, (unsigned)(n - sent));
		uv_read_stop(stream);
		check(uv_write(&guest->write, stream, &answer, 1, on_written), "write");
	}
}

static void on_connection(uv_stream_t *server, int status)
{
	struct guest *guest = malloc(sizeof(*guest));

	check(status, "listen");
	check(guest != NULL ? 0 : UV_ENOMEM, "memory");
	check(uv_tcp_init(server->loop, &guest->tcp), "tcp");
	check(uv_accept(server, (uv_stream_t *)&guest->tcp), "accept");
	uv_tcp_nodelay(&guest->tcp, 1);
	uv_read_start((uv_stream_t *)&guest->tcp, give_buffer, on_read);
}

void echo_server(void)
{
	struct sockaddr_in address;
	uv_tcp_t listener;
	uv_loop_t loop;

	check(uv_loop_init(&loop), "loop");
	check(uv_tcp_init(&loop, &listener), "tcp");
	uv_ip4_addr("127.0.0.1", (int)param("port"), &address);
	check(uv_tcp_bind(&listener, (struct sockaddr *)&address, 0), "bind");
	check(uv_listen((uv_stream_t *)&listener, 4096, on_connection), "listen");
	uv_run(&loop, UV_RUN_DEFAULT);
}
