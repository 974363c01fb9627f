/* SPDX-License-Identifier: MIT */
/*
 * libcurl tells by two functions what it waits for: on_socket (this descriptor, these events) and on_timer (this long).
 * Both only take notes. The loop in `run` waits for whatever comes first, as futures, and tells libcurl, which never
 * blocks. It is entered by the fiber only, so nothing here needs a lock.
 */
#include "rota_curl.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include <rota.h>

enum { SOCKETS_MAX = 8 }; /* libcurl uses five for one transfer at most */

struct watch {
	curl_socket_t fd;
	short events;
	struct rota_op op;
};

struct transfer {
	CURLM *multi;
	CURL *easy;
	unsigned count;
	struct watch watches[SOCKETS_MAX];
	uint64_t due; /* ROTA_NEVER: no timer */
};

/* --- what libcurl tells ----------------------------------------------------------------------------------------- */

static struct watch *find_watch(struct transfer *t, curl_socket_t fd)
{
	for (unsigned i = 0; i < t->count; i++) {
		if (t->watches[i].fd == fd)
			return &t->watches[i];
	}
	return NULL;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
	struct transfer *t = arg;
	struct watch *watch = find_watch(t, fd);

	(void)easy;
	(void)unused;
	if (what == CURL_POLL_REMOVE) {
		if (watch != NULL)
			*watch = t->watches[--t->count];
		return 0;
	}
	if (watch == NULL) {
		if (t->count == SOCKETS_MAX)
			return -1; /* libcurl ends the transfer */
		watch = &t->watches[t->count++];
		watch->fd = fd;
	}
	watch->events = 0;
	if (what != CURL_POLL_OUT)
		watch->events |= POLLIN;
	if (what != CURL_POLL_IN)
		watch->events |= POLLOUT;
	return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct transfer *t = arg;

	(void)multi;
	t->due = timeout_ms < 0 ? ROTA_NEVER : rota_now() + ROTA_MS((uint64_t)timeout_ms);
	return 0;
}

/* --- what we tell libcurl --------------------------------------------------------------------------------------- */

static int result_of(CURLMcode code)
{
	if (code == CURLM_OK)
		return 0;
	return code == CURLM_OUT_OF_MEMORY ? -ENOMEM : CURLE_FAILED_INIT;
}

static int act(struct transfer *t, curl_socket_t fd, int events)
{
	int running;

	return result_of(curl_multi_socket_action(t->multi, fd, events, &running));
}

static int curl_events(int events)
{
	int flags = 0;

	if ((events & POLLIN) != 0)
		flags |= CURL_CSELECT_IN;
	if ((events & POLLOUT) != 0)
		flags |= CURL_CSELECT_OUT;
	if ((events & ~(POLLIN | POLLOUT)) != 0)
		flags |= CURL_CSELECT_ERR;
	return flags;
}

/* Waits for the first of all that libcurl waits for, and passes it on. The others are asked for anew: readiness is a state,
 * and does not get lost. */
static int wait_and_act(struct transfer *t)
{
	struct rota_future *futures[SOCKETS_MAX + 1];
	struct rota_timer timer;
	size_t n = 0, which = 0;
	int events;

	for (; n < t->count; n++) {
		rota_op_poll(&t->watches[n].op, t->watches[n].fd, t->watches[n].events);
		futures[n] = &t->watches[n].op.future;
	}
	if (t->due != ROTA_NEVER) {
		rota_timer_init(&timer, t->due);
		futures[n++] = &timer.future;
	}
	events = rota_await_any(futures, n, &which);
	if (events < 0)
		return events;
	if (which < t->count)
		return act(t, t->watches[which].fd, curl_events(events));
	t->due = ROTA_NEVER; /* before: libcurl may set it again */
	return act(t, CURL_SOCKET_TIMEOUT, 0);
}

/* Whether the transfer is over, and with what. */
static bool is_done(struct transfer *t, int *ret_result)
{
	int left;
	const CURLMsg *message = curl_multi_info_read(t->multi, &left);

	if (message == NULL || message->msg != CURLMSG_DONE)
		return false;
	*ret_result = (int)message->data.result;
	return true;
}

static int run(struct transfer *t)
{
	int result = 0, rc = act(t, CURL_SOCKET_TIMEOUT, 0); /* the start */

	while (rc == 0 && !is_done(t, &result))
		rc = wait_and_act(t);
	return rc != 0 ? rc : result;
}

/* --- beginning and end ------------------------------------------------------------------------------------------ */

static int prepare(struct transfer *t)
{
	CURLMcode code = curl_multi_setopt(t->multi, CURLMOPT_SOCKETFUNCTION, on_socket);

	if (code == CURLM_OK)
		code = curl_multi_setopt(t->multi, CURLMOPT_SOCKETDATA, t);
	if (code == CURLM_OK)
		code = curl_multi_setopt(t->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	if (code == CURLM_OK)
		code = curl_multi_setopt(t->multi, CURLMOPT_TIMERDATA, t);
	if (code == CURLM_OK && curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L) != CURLE_OK)
		return CURLE_FAILED_INIT;
	return code == CURLM_OK ? result_of(curl_multi_add_handle(t->multi, t->easy)) : result_of(code);
}

static int take_out(void *arg)
{
	struct transfer *t = arg;

	curl_multi_remove_handle(t->multi, t->easy);
	return 0;
}

/* Of a transfer that did not end, a thread may still resolve its name: libcurl joins that, so this may block. */
static void give_up(struct transfer *t)
{
	if (rota_block_in_place(take_out, t) < 0) /* the current-thread flavour has nobody who would go on meanwhile */
		take_out(t);
}

int rota_curl_perform_in(CURLM *multi, CURL *easy)
{
	struct transfer t = { .multi = multi, .easy = easy, .due = ROTA_NEVER };
	int rc = prepare(&t);

	if (rc == 0) {
		rc = run(&t);
		if (rc < 0)
			give_up(&t);
		else
			take_out(&t);
	}
	/* Nobody calls back into what is on our stack. */
	curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, NULL);
	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, NULL);
	curl_multi_setopt(multi, CURLMOPT_TIMERDATA, NULL);
	curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, NULL);
	return rc;
}

int rota_curl_perform(CURL *easy)
{
	CURLM *multi = curl_multi_init();
	int rc;

	if (multi == NULL)
		return -ENOMEM;
	rc = rota_curl_perform_in(multi, easy);
	curl_multi_cleanup(multi);
	return rc;
}

const char *rota_curl_strerror(int result)
{
	return result < 0 ? strerror(-result) : curl_easy_strerror((CURLcode)result);
}
