/* SPDX-License-Identifier: MIT */
/*
 * What a socket receives, as a stream of buffers: one request of the kernel that receives again and again (multishot),
 * into buffers of a common stock, which the caller gives back. A connection on which nothing comes holds no buffer. Each
 * worker has a stock (rota_config.recv_buffers of recv_buffer_size bytes), whose memory is touched as it is used. Where
 * there is no such request (another back end, a thread that is no worker's) the stream waits until there is something,
 * and only then takes a buffer.
 *
 * Who may call, and what cancellation does: see fd.h.
 *
 * The stream belongs to one task at a time, which waits for one buffer at a time. From the first wait until the stream was
 * stopped it must stay in place. No byte that arrived is lost: not when a wait is cancelled, not when the stream is
 * stopped. Nobody else may receive from the socket meanwhile.
 */
#ifndef ROTA_IO_RECV_STREAM_H
#define ROTA_IO_RECV_STREAM_H

#include "../runtime/waitlist.h"
#include "op.h"

ROTA_BEGIN_DECLS

/* Bytes that were received. The caller's, to read and to write, until given back; `data` is left as it came. */
struct rota_buffer {
	unsigned char *data;
	size_t len;
	uintptr_t home_; /* private: its note in the stock; or the size of what was allocated for it alone, and a mark */
};

struct rota_recv_stream {
	struct rota_future future; /* of the wait for the next; see rota_recv_stream_next_init */
	/* private */
	struct rota_buffer *ret_;
	uint16_t first_, last_, count_; /* of the queue: buffers of the stock */
	uint8_t stage_;
	bool single_ : 1, cancelled_ : 1, stopped_ : 1, ended_ : 1, granted_ : 1, holds_ : 1, tried_ : 1;
	union {
		struct rota_op op; /* keeps the descriptor, and the ring whose stock it is, when it is over, too */
		struct {
			struct rota_waiter waiter;
			void *ring;
			int fd;
			uint16_t closes;
		} starving;
		struct {
			struct rota_buffer buffer;
			int fd;
			uint16_t closes;
		} held;
	} wait_;
};

/* Of the socket `fd`, which stays the caller's. Starts nothing. */
ROTA_API void rota_recv_stream_init(struct rota_recv_stream *stream, int fd);

/*
 * Waits for bytes and returns how many: *ret holds them, and is to be given back. 0: the peer has closed its direction.
 * When the worker's stock is used up, waits until a buffer was given back: who holds many while waiting for more may wait
 * for himself. -ECANCELED: the caller was cancelled, or nothing is left and the stream was stopped, or the socket closed
 * (rota_close) since it was initialised. -ENOMEM: no memory for a buffer; the bytes are still to come. Other errors are those of
 * recv(2). Of datagrams each is a buffer, which cuts off what it has no room for; one that is empty is a 0 without a buffer,
 * and more may come.
 *
 * ret NULL: the same wait, and the buffer stays with the stream. The next call finds it there and is ready at once. So who
 * waits on many connections needs no rota_buffer for those on which nothing comes.
 */
ROTA_API ssize_t rota_recv_stream_next(struct rota_recv_stream *stream, struct rota_buffer *ret) ROTA_MUST_USE;

/* The same as a future: stream->future, whose status is the count. ret, if there is one, must stay in place until ready. */
ROTA_API void rota_recv_stream_next_init(struct rota_recv_stream *stream, struct rota_buffer *ret);

/* Gives a buffer back. Any thread, before the runtime is shut down: that takes the stocks away, and with them what was not
 * given back, `data` included. Never waits. A second time it does nothing. */
ROTA_API void rota_buffer_release(struct rota_buffer *buffer);

/*
 * Makes the kernel stop, and waits until it has. What was received until then can still be taken. Not a cancellation
 * point. As a future: stream->future, status 0; it cannot be cancelled.
 */
ROTA_API void rota_recv_stream_stop(struct rota_recv_stream *stream);
ROTA_API void rota_recv_stream_stop_init(struct rota_recv_stream *stream);

/* Gives back what nobody has taken. The stream has been stopped, by one of the two above; this call never waits. Before the
 * runtime is shut down, too. */
ROTA_API void rota_recv_stream_close(struct rota_recv_stream *stream);

ROTA_END_DECLS

#endif
