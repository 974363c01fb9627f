/* SPDX-License-Identifier: MIT */
#include "../runtime/driver_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../runtime/atomic_internal.h"
#include "../runtime/log_internal.h"
#include "backend_epoll_internal.h"
#include "backend_uring_internal.h"

/* Whether the error is of this moment, not of this system: it would be the same with any back end. */
static bool is_passing(int rc)
{
	return rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM || rc == -EAGAIN;
}

/*
 * Valgrind runs one thread at a time, and holds its lock across io_uring_enter, which it does not take for a call that may
 * wait: as soon as one thread waits in its ring no other one runs any more. A wait in epoll it knows.
 */
static bool under_valgrind(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload != NULL && strstr(preload, "vgpreload") != NULL;
}

int rota__driver_find(enum rota_backend wanted, const struct rota__driver **ret)
{
	static struct rota_atomic_u32 told;
	int rc;

	if (wanted == ROTA_BACKEND_AUTO && under_valgrind()) {
		if (rota__swap(&told, 1, RELAXED) == 0) /* orders nothing */
			rota__log(
				"back end: epoll, since valgrind lets no other thread run while one waits in io_uring");
		*ret = &rota__driver_epoll;
		return 0;
	}
	rc = wanted == ROTA_BACKEND_EPOLL ? 0 : rota__uring_try();
	while (rc == -EINTR) /* a signal says nothing about the kernel */
		rc = rota__uring_try();
	if (rc == 0) {
		*ret = wanted == ROTA_BACKEND_EPOLL ? &rota__driver_epoll : &rota__driver_uring;
		return 0;
	}
	if (is_passing(rc))
		return rc;
	if (wanted == ROTA_BACKEND_IO_URING) {
		rota__log("io_uring does not work here (%s): see kernel.io_uring_disabled and the container's seccomp "
			  "profile",
			  strerror(-rc));
		return -ENOTSUP;
	}
	if (rota__swap(&told, 1, RELAXED) == 0) /* orders nothing */
		rota__log(
			"back end: epoll, since io_uring does not work here (%s): see kernel.io_uring_disabled and the "
			"container's seccomp profile",
			strerror(-rc));
	*ret = &rota__driver_epoll;
	return 0;
}
