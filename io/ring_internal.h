/* SPDX-License-Identifier: MIT */
/*
 * A ring and its owner: a worker, or the reactor.
 *
 * Only the owner's thread fills entries in, and publishes each at once. It hands them to the kernel in batches; when it is
 * stuck before that, the reactor does (so the ring is not SINGLE_ISSUER), in whose name these requests then run: it
 * outlives them; it also takes the mail over. Completions are taken under `cq_lock` by the owner, or by the reactor
 * when the owner is stuck. What another thread wants done here goes through `mail`, a stack of operations, and a wake.
 *
 * Waking: `notified` says that a wake is on its way, so that many wakes cost one write to the eventfd, which a multishot
 * poll in the ring turns into a completion. The owner clears it when it sees that completion, and looks at its queues
 * after that.
 */
#ifndef ROTA_IO_RING_INTERNAL_H
#define ROTA_IO_RING_INTERNAL_H

#include <liburing.h>
#include <sys/uio.h>

#include "../runtime/atomic_internal.h"
#include "buffers_internal.h"
#include "carrier_internal.h"
#include "closing_internal.h"
#include "elsewhere_internal.h"
#include "pairs_internal.h"

/* COOP: completions do not interrupt the owner; they are posted when it enters the kernel anyway. SUBMIT_ALL: an entry
 * that the kernel refuses does not keep back those behind it. */
#define ROTA__RING_FLAGS (IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL)

extern const struct rota__carrier_ops rota__ring_carrier_ops; /* ring_carrier.c */

struct rota__ring {
	struct rota__carrier carrier; /* first */
	struct io_uring uring;
	unsigned features; /* of the kernel, for enter */
	int wake_fd;
	bool exclusive;                /* one thread owns it for life */
	struct rota__closing *closing; /* of the runtime; NULL: operations are not counted */
	struct iovec memory;           /* that is registered with it; see ring_memory.c */
	struct rota_atomic_u32 memory_known;
	struct rota_atomic_u32 memory_taken; /* of the reactor's: somebody registers, or has registered */
	/* owner only */
	struct rota_op *backlog_first, *backlog_last; /* the submission queue was full */
	uint32_t closing_seen;                        /* the latest close whose operations were cancelled */
	uint32_t rescuer_seen;                        /* the same of who cancels in the owner's place: the reactor's */
	struct rota__buffers *buffers;                /* NULL: no stream has asked for them */
	bool no_buffers;                              /* they cannot be had */
	unsigned ended_here;                          /* operations that ended in this turn without the kernel */
	unsigned files;                               /* reads and writes at an offset since it was last entered */
	uint32_t turn;                                /* its number */
	/* under cq_lock */
	struct rota_atomic_u32 cq_lock;
	struct rota_atomic_u32 wake_armed; /* the multishot poll is in the ring */
	struct rota_atomic_u32 backlogged; /* something may be in the backlog; anybody reads */
	struct rota_atomic_u32 entered;    /* the owner is in the kernel; anybody reads */
	/* anybody */
	__attribute__((aligned(ROTA__CACHE_LINE))) struct rota_atomic_u32 notified;
	struct rota_atomic_ptr mail;
	struct rota__pairs pairs; /* in the kernel */
	struct rota__elsewhere elsewhere;
};

/* On the thread that will own it; shared: several threads will, one after another. 0, or a negative errno. */
int rota__ring_init(struct rota__ring *ring, unsigned entries, bool shared);

/* Registers memory with all rings of a runtime. Any thread. */
int rota__ring_register_memory(rota_runtime *rt, const struct iovec *memory);

/* Before its first operation: whom it counts them with. */
void rota__ring_set_closing(struct rota__ring *ring, struct rota__closing *closing);

/* An operation of the ring has ended, or was not handed over: the close that waited for it may go on. Any thread. */
void rota__ring_closing_leave(struct rota__ring *ring, const struct rota_op *op);

/* A call in place is over: the same. Any thread. */
void rota__ring_call_end(struct rota__ring *ring, int fd);

/* The owner's thread is about to end. On that thread. */
void rota__ring_leave(struct rota__ring *ring);

/* Its stock of receive buffers, made by the first call; NULL: it cannot be had. Owner. */
struct rota__buffers *rota__ring_buffers(struct rota__ring *ring, const struct rota_config *config);

/* Any thread, when nobody uses the ring any more. */
void rota__ring_deinit(struct rota__ring *ring);

/* Puts an operation into the submission queue; it is handed to the kernel by the next enter. Owner. */
void rota__ring_submit(struct rota__ring *ring, struct rota_op *op);

/* Hands to the kernel what there is once it holds four reads or writes at an offset, which are for disks: one that has done what
 * it was given would wait while the worker runs the tasks that this was for. With 32 reads under way it then does as much
 * as with each submitted by itself. Owner, while no slot is taken. */
void rota__ring_submit_files(struct rota__ring *ring);

/* Hands an operation to the owner: to be submitted or cancelled in its next turn. Any thread (which wakes the owner if
 * it is not the owner itself); for a cancel with the slot taken. */
void rota__ring_mail(struct rota__ring *ring, struct rota_op *op, enum rota__op_mail mail);

/* Mails a cancel, with the slot taken; false: a letter about the operation is out already, and whoever opens that sees what has
 * become of it. While one is out the operation cannot end. */
bool rota__ring_mail_cancel(struct rota__ring *ring, struct rota_op *op);

/* Submits and reaps; waits for a completion when timeout_ns > 0. Owner. Returns how many operations ended. */
unsigned rota__ring_turn(struct rota__ring *ring, uint64_t timeout_ns);

/* Whether a turn would find completions or mail. Owner. */
bool rota__ring_is_due(const struct rota__ring *ring);

/* Whether something waits to be submitted by the owner's next turn. Owner. */
bool rota__ring_unsubmitted(const struct rota__ring *ring);

/* Submits, cancels, and takes completions in the owner's place; what has to be submitted again goes to the ring of the
 * rescuer, on whose thread this is. */
unsigned rota__ring_rescue(struct rota__ring *ring, struct rota__ring *rescuer);

/* Ends the owner's present or next wait. Any thread. */
void rota__ring_wake(struct rota__ring *ring);

#endif
