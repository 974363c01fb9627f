/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "parallel_internal.h"

/* 1: done; 0: left out. */
ROTA_FORK_DEFINE_2(int, call_all, struct rota_call *, calls, size_t, n)
{
	struct call_all_frame later;
	int first;

	if (n == 1) {
		calls->status = calls->fn(calls->arg);
		return 1;
	}
	ROTA_FORK(call_all, &later, calls + n / 2, n - n / 2);
	first = ROTA_FORK_CALL(call_all, calls, n / 2);
	return ROTA_FORK_JOIN(call_all, &later) & first;
}

int rota_invoke(struct rota_call *calls, size_t n)
{
	const int left_out = INT32_MIN; /* no status of a call: that is no errno */
	int rc = 0;

	if (calls == NULL && n > 0)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		if (calls[i].fn == NULL)
			return -EINVAL;
	}
	for (size_t i = 0; i < n; i++)
		calls[i].status = left_out;
	if (n > 0)
		call_all(calls, n);
	for (size_t i = 0; i < n; i++) {
		if (calls[i].status == left_out)
			calls[i].status = rota__parallel_reason();
		if (rc == 0 && calls[i].status < 0)
			rc = calls[i].status;
	}
	return rc;
}
