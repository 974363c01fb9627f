/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "member.h"

/* --- the outlet --------------------------------------------------------------------------------------------------- */

int chat_outlet_send_line(struct chat_outlet *outlet, const struct chat_line *line)
{
	int rc = rota_mutex_lock_until(&outlet->mutex, ROTA_NEVER); /* unlike rota_mutex_lock it can be cancelled */

	if (rc == 0) {
		rc = chat_send_lines(outlet->wire, line->bytes, line->len);
		rota_mutex_unlock(&outlet->mutex);
	}
	if (rc < 0)
		rota_shutdown(outlet->fd, SHUT_RDWR); /* who reads from it learns of it by that */
	return rc;
}

int chat_outlet_send(struct chat_outlet *outlet, const struct chat_message *message)
{
	struct chat_line line;
	int len = chat_format(line.bytes, message);

	if (len < 0)
		return len;
	line.len = (size_t)len;
	return chat_outlet_send_line(outlet, &line);
}

/* --- the task ----------------------------------------------------------------------------------------------------- */

/* A line was received, or some were missed. A line is sent to its end also when the task has been told to stop. */
static int pass_on(struct chat_member *m, int received, const struct chat_line *line)
{
	int rc;

	rota_shield_enter();
	if (received == 0) {
		rc = chat_outlet_send_line(m->outlet, line);
	} else {
		struct chat_message missed = { .type = CHAT_MISSED, .count = m->receiver.missed };

		memcpy(missed.group, m->group->name, sizeof(missed.group));
		rc = chat_outlet_send(m->outlet, &missed);
	}
	rota_shield_leave();
	return rc;
}

/* What was in the ring when it was told to stop, and what was missed before that. Others may post on: no more than that. */
static int send_rest(struct chat_member *m)
{
	struct chat_line line;
	int rc = 0;

	for (int i = 0; i < CHAT_BACKLOG + 1 && rc == 0; i++) {
		rc = rota_broadcast_try_recv(&m->receiver, &line);
		if (rc == 0 || rc == -EOVERFLOW)
			rc = pass_on(m, rc, &line);
	}
	return rc == -EAGAIN ? 0 : rc;
}

static int member_run(void *arg)
{
	struct chat_member *m = arg;
	struct chat_line line;
	int rc = 0;

	while (rc == 0) {
		rc = rota_broadcast_recv(&m->receiver, &line);
		if (rc == 0 || rc == -EOVERFLOW)
			rc = pass_on(m, rc, &line);
	}
	return rc == -ECANCELED ? send_rest(m) : rc;
}

/* --- for its client ------------------------------------------------------------------------------------------------ */

int chat_member_new(struct chat_member **ret, struct chat_groups *groups, const char *name, struct chat_outlet *outlet)
{
	struct chat_member *m = calloc(1, sizeof(*m));
	int rc;

	if (m == NULL)
		return -ENOMEM;
	m->outlet = outlet;
	rc = chat_group_enter(groups, name, &m->group);
	if (rc < 0) {
		free(m);
		return rc;
	}
	rota_broadcast_subscribe(&m->group->lines, &m->receiver);
	*ret = m;
	return 0;
}

int chat_member_start(struct chat_member *m)
{
	return rota_spawn(&m->task, member_run, m);
}

void chat_member_stop(struct chat_member *m)
{
	rota_cancel(m->task);
}

int chat_member_wait(struct chat_member *m, uint64_t deadline)
{
	struct rota_join_op end;
	struct rota_timer timer;
	size_t which = 0;
	int rc;

	rota_join_init(&end, m->task);
	rota_timer_init(&timer, deadline);
	rc = ROTA_AWAIT_ANY_BIASED(&which, &end.future, &timer.future);
	if (rc == 0 && which != 0)
		return -ETIMEDOUT;
	return rc < 0 ? rc : rota_join(m->task, NULL); /* at once: it has ended */
}

void chat_member_free(struct chat_member *m, struct chat_groups *groups)
{
	chat_group_leave(groups, m->group);
	free(m);
}
