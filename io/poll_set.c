/* SPDX-License-Identifier: MIT */
#include "poll_set_internal.h"

#include <sys/epoll.h>

#include "../runtime/sys_internal.h"
#include "backend_epoll_internal.h"
#include "poller_internal.h"
#include "sys_internal.h"

#define REPORTS 64

int rota__poll_set_init(struct rota__poll_set *set, struct rota__poller *poller)
{
	int rc = rota__sys_epoll();

	if (rc < 0)
		return rc;
	*set = (struct rota__poll_set){ .carrier = { &rota__epoll_carrier_ops }, .poller = poller, .epoll_fd = rc };
	rc = rota__sys_eventfd();
	if (rc < 0)
		goto close_epoll;
	set->wake_fd = rc;
	rc = rota__sys_epoll_add_bell(set->epoll_fd, set->wake_fd);
	if (rc < 0)
		goto close_wake;
	return 0;

close_wake:
	rota__sys_close(set->wake_fd);
close_epoll:
	rota__sys_close(set->epoll_fd);
	return rc;
}

void rota__poll_set_deinit(struct rota__poll_set *set)
{
	rota__sys_close(set->wake_fd);
	rota__sys_close(set->epoll_fd);
}

void rota__poll_set_wake(struct rota__poll_set *set)
{
	if (rota__swap(&set->notified, 1, ACQ_REL) == 0) /* partner: the swap in rota__poll_set_turn */
		rota__sys_eventfd_write(set->wake_fd);
}

bool rota__poll_set_has_reports(const struct rota__poll_set *set)
{
	return rota__load(&set->used, RELAXED) && rota__sys_epoll_ready(set->epoll_fd); /* as below */
}

static unsigned look(struct rota__poll_set *set, uint64_t timeout_ns, bool *ret_woken)
{
	struct epoll_event reports[REPORTS];
	struct rota__wake_batch batch;
	unsigned resumed = 0;
	int n;

	*ret_woken = false;
	if (timeout_ns == 0 && !rota__load(&set->used, RELAXED)) /* its own, or the next look sees it */
		return 0;
	n = rota__sys_epoll_wait(set->epoll_fd, reports, REPORTS, timeout_ns);
	rota__wake_batch_init(&batch);
	for (int i = 0; i < n; i++) {
		if (reports[i].data.fd == set->wake_fd)
			*ret_woken = true;
		else
			resumed += rota__poller_report(set, reports[i].data.fd, reports[i].events, &batch);
	}
	rota__wake_batch_submit(&batch);
	return resumed;
}

unsigned rota__poll_set_turn(struct rota__poll_set *set, uint64_t timeout_ns)
{
	bool woken;
	const unsigned resumed = look(set, timeout_ns, &woken);

	if (woken)
		rota__swap(&set->notified, 0, ACQ_REL); /* partner: rota__poll_set_wake */
	return resumed;
}

unsigned rota__poll_set_rescue(struct rota__poll_set *set)
{
	bool woken;
	const unsigned resumed = look(set, 0, &woken);

	if (woken) /* who may be about to wait has not seen it, and the report is gone: once more */
		rota__sys_eventfd_write(set->wake_fd);
	return resumed;
}
