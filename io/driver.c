/* SPDX-License-Identifier: MIT */
#include "../runtime/driver_internal.h"

#include <errno.h>
#include <string.h>

#include "../runtime/log_internal.h"
#include "backend_uring_internal.h"

int rota__driver_find(enum rota_backend wanted, const struct rota__driver **ret)
{
	int rc;

	if (wanted == ROTA_BACKEND_EPOLL) {
		rota__log("the epoll back end is not part of this version: use io_uring");
		return -ENOTSUP;
	}
	rc = rota__uring_try();
	if (rc < 0) {
		rota__log("io_uring does not work here (%s): see kernel.io_uring_disabled and the container's seccomp "
			  "profile",
			  strerror(-rc));
		return -ENOTSUP;
	}
	*ret = &rota__driver_uring;
	return 0;
}
