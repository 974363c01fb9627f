/* SPDX-License-Identifier: MIT */
/*
 * One task reads what the client asks for; its memberships (member.h) send it what others post. The reader answers, too: a
 * client that asks and does not read the answers stops its own reader and nobody else.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "session.h"

static int answer(struct chat_session *s, enum chat_type type, const char *group, const char *text)
{
	struct chat_message message = { .type = type };

	snprintf(message.group, sizeof(message.group), "%s", group);
	snprintf(message.text, sizeof(message.text), "%s", text);
	return chat_outlet_send(&s->outlet, &message);
}

static int complain(struct chat_session *s, const char *reason)
{
	return answer(s, CHAT_ERROR, "", reason);
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

/* The link that points to the membership in this group, or to the end of the list. */
static struct chat_member **find(struct chat_session *s, const char *group)
{
	struct chat_member **link = &s->members;

	while (*link != NULL && strcmp((*link)->group->name, group) != 0)
		link = &(*link)->next;
	return link;
}

static int join(struct chat_session *s, const char *group)
{
	struct chat_member **link = find(s, group), *member;
	int rc;

	if (*link != NULL)
		return complain(s, "already in this group");
	if (s->member_count == CHAT_MEMBERSHIPS)
		return complain(s, "in too many groups");
	rc = chat_member_new(&member, s->groups, group, &s->outlet);
	if (rc < 0)
		return complain(s, rc == -ENOSPC ? "there are too many groups" : strerror(-rc));
	rc = answer(s, CHAT_JOINED, group, "");
	if (rc == 0)
		rc = chat_member_start(member);
	if (rc < 0) {
		chat_member_free(member, s->groups);
		return rc;
	}
	*link = member;
	s->member_count++;
	return 0;
}

/* What was posted before is sent first, so a client can tell that everything came, or was reported as missed. One that does
 * not take it ends its session. */
static int leave(struct chat_session *s, const char *group)
{
	struct chat_member **link = find(s, group), *member = *link;
	int rc;

	if (member == NULL)
		return complain(s, "not in this group");
	chat_member_stop(member);
	rc = chat_member_wait(member, rota_now() + s->patience);
	if (rc < 0)
		return rc;
	*link = member->next;
	s->member_count--;
	chat_member_free(member, s->groups);
	return answer(s, CHAT_LEFT, group, "");
}

static int post(struct chat_session *s, const struct chat_message *request)
{
	struct chat_member *member = *find(s, request->group);
	struct chat_message message = *request;
	struct chat_line line;
	int rc;

	if (member == NULL)
		return complain(s, "not in this group");
	message.type = CHAT_MESSAGE;
	message.from = s->number;
	rc = chat_format(line.bytes, &message);
	if (rc < 0)
		return complain(s, rc == -EMSGSIZE ? "the text is too long" : strerror(-rc));
	line.len = (size_t)rc;
	rc = rota_broadcast_send(&member->group->lines, &line);
	return rc < 0 ? rc : rota_yield(); /* a flood of posts leaves the members their turns */
}

static int carry_out(struct chat_session *s, const struct chat_message *request)
{
	switch (request->type) {
	case CHAT_JOIN:
		return join(s, request->group);
	case CHAT_LEAVE:
		return leave(s, request->group);
	case CHAT_POST:
		return post(s, request);
	default:
		return complain(s, "only the server says this");
	}
}

static int serve(struct chat_session *s)
{
	struct chat_message request;
	const char *reason;
	int rc;

	do {
		rc = chat_receive(&s->wire, &request, &reason);
		if (rc > 0)
			rc = carry_out(s, &request) < 0 ? -EPIPE : 1;
		else if (rc == -EBADMSG)
			rc = complain(s, reason) < 0 ? -EPIPE : 1;
	} while (rc > 0);
	return rc;
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

/* The memberships send what they have. A client that does not take it in time is cut off, which ends them too. */
static void leave_all(struct chat_session *s, uint64_t deadline)
{
	struct chat_member *next;

	for (struct chat_member *m = s->members; m != NULL; m = m->next)
		chat_member_stop(m);
	for (struct chat_member *m = s->members; m != NULL; m = next) {
		next = m->next;
		if (chat_member_wait(m, deadline) < 0) {
			rota_shutdown(s->outlet.fd, SHUT_RDWR);
			chat_member_wait(m, ROTA_NEVER);
		}
		chat_member_free(m, s->groups);
	}
}

/* A socket that is closed with input unread is reset, and what was sent last may be lost on the way: so the input is read to
 * its end, for a while. */
static void linger(int fd, uint64_t deadline)
{
	char dropped[512];
	struct rota_timer timer;
	struct rota_op op;
	size_t which = 0;
	int n;

	rota_shutdown(fd, SHUT_WR);
	do {
		rota_op_recv(&op, fd, dropped, sizeof(dropped), 0);
		rota_timer_init(&timer, deadline);
		n = ROTA_AWAIT_ANY_BIASED(&which, &op.future, &timer.future);
	} while (n > 0 && which == 0);
}

void chat_session_run(struct chat_session *s, int fd)
{
	uint64_t deadline;

	if (chat_wire_init(&s->wire, fd) < 0)
		return;
	s->outlet.wire = &s->wire;
	s->outlet.fd = fd;
	rota_mutex_init(&s->outlet.mutex);
	serve(s);

	rota_shield_enter(); /* cancelled or not, the rest is bounded */
	deadline = rota_now() + ROTA_MS(CHAT_GRACE_MS);
	leave_all(s, deadline);
	linger(fd, deadline);
	rota_stream_deinit(&s->wire.stream); /* what an error has left unwritten is not sent any more */
	rota_close(fd);
	rota_shield_leave();
}

void chat_session_refuse(int fd)
{
	const struct chat_message refusal = { .type = CHAT_ERROR, .text = "the server is full" };
	char line[CHAT_LINE_MAX];
	int len = chat_format(line, &refusal);

	rota_shield_enter();
	if (len > 0 && rota_write_all(fd, line, (size_t)len) == len)
		linger(fd, rota_now() + ROTA_MS(CHAT_GRACE_MS));
	rota_close(fd);
	rota_shield_leave();
}
