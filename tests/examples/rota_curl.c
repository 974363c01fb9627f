/* SPDX-License-Identifier: MIT */
/*
 * The adapter for libcurl, against a server in the same program: results, deadlines, cancels, connections that are kept,
 * many transfers at once. A name whose resolution takes as long as the test likes comes from a getaddrinfo of our own, which
 * libcurl finds in place of the system's.
 */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <stdatomic.h>

#include <rota.h>

#include "../expect.h"
#include "own_server.h"
#include "rota_curl.h"

enum { TRANSFERS = 100, UPLOAD = 300000 };

static struct own_server server;
static atomic_uint abandoned; /* connections that the client closed while it waited for an answer */
static atomic_uint resolving;
static atomic_bool may_resolve;
static char base[64]; /* URL of the server, without a path */
static char upload[UPLOAD];

/* --- a name that takes its time ------------------------------------------------------------------------------------ */

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **ret)
{
	int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

	*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	if (node == NULL || strcmp(node, "slow.test") != 0)
		return real(node, service, hints, ret);
	atomic_fetch_add(&resolving, 1);
	expect_eventually(atomic_load(&may_resolve));
	atomic_fetch_sub(&resolving, 1);
	return EAI_NONAME;
}

/* --- the server ---------------------------------------------------------------------------------------------------- */

static int answer(struct rota_stream *s, const char *path, size_t body)
{
	char rest[1000];

	for (size_t n; body > 0; body -= n) {
		n = body < sizeof(rest) ? body : sizeof(rest);
		if (rota_stream_read_exact(s, rest, n) != (ssize_t)n)
			return -EPIPE;
	}
	if (strncmp(path, "/never", 6) == 0) {
		if (rota_stream_fill(s, 1) == 0)
			atomic_fetch_add(&abandoned, 1);
		return -EPIPE;
	}
	if (strncmp(path, "/missing", 8) == 0)
		return rota_stream_printf(s, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
	return rota_stream_printf(s, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
}

static int serve(void *arg)
{
	struct rota_stream s;
	char line[512], path[64];
	int rc = rota_stream_init_fd(&s, (int)(intptr_t)arg, NULL);

	expect(rc, ==, 0);
	while (rc >= 0 && rota_stream_read_line(&s, line, sizeof(line), NULL) > 0) {
		size_t body = 0;

		expect(sscanf(line, "%*s %63s", path), ==, 1);
		while ((rc = rota_stream_read_line(&s, line, sizeof(line), NULL)) > 0 && line[0] != '\0')
			sscanf(line, "Content-Length: %zu", &body);
		rc = answer(&s, path, body);
		if (rc >= 0)
			rc = rota_stream_flush(&s);
	}
	rota_stream_close(&s);
	return 0;
}

/* --- the client ---------------------------------------------------------------------------------------------------- */

static size_t count_bytes(char *bytes, size_t size, size_t n, void *arg)
{
	(void)bytes;
	*(size_t *)arg += size * n;
	return size * n;
}

static void set_path(CURL *easy, const char *path)
{
	char url[128];

	snprintf(url, sizeof(url), "%s%s", base, path);
	expect(curl_easy_setopt(easy, CURLOPT_URL, url), ==, CURLE_OK);
}

static CURL *handle_for(const char *path, size_t *received)
{
	CURL *easy = curl_easy_init();

	expect_pointer(easy, !=, NULL);
	set_path(easy, path);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, count_bytes);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, received);
	curl_easy_setopt(easy, CURLOPT_FAILONERROR, 1L);
	return easy;
}

/* What a handle is good for after it was given up. */
static void expect_works(CURL *easy, size_t *received)
{
	*received = 0;
	set_path(easy, "/");
	expect(rota_curl_perform(easy), ==, 0);
	expect(*received, ==, 5);
}

static void wait_until_abandoned(unsigned n)
{
	while (atomic_load(&abandoned) < n)
		expect(rota_sleep(ROTA_MS(1)), ==, 0);
}

static void results(void)
{
	size_t received = 0;
	CURL *easy = handle_for("/", &received);

	expect(rota_curl_perform(easy), ==, 0);
	expect(received, ==, 5);
	set_path(easy, "/missing");
	expect(rota_curl_perform(easy), ==, CURLE_HTTP_RETURNED_ERROR);
	expect_text(rota_curl_strerror(CURLE_HTTP_RETURNED_ERROR), curl_easy_strerror(CURLE_HTTP_RETURNED_ERROR));
	expect_text(rota_curl_strerror(-ETIMEDOUT), strerror(ETIMEDOUT));
	curl_easy_setopt(easy, CURLOPT_URL, "http://127.0.0.1:1/");
	expect(rota_curl_perform(easy), ==, CURLE_COULDNT_CONNECT);
	curl_easy_setopt(easy, CURLOPT_URL, "nonsense://host/");
	expect(rota_curl_perform(easy), ==, CURLE_UNSUPPORTED_PROTOCOL);
	set_path(easy, "/never");
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 50L);
	expect(rota_curl_perform(easy), ==, CURLE_OPERATION_TIMEDOUT);
	wait_until_abandoned(1);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 0L);
	set_path(easy, "/");
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, upload);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)UPLOAD);
	expect(rota_curl_perform(easy), ==, 0);
	curl_easy_cleanup(easy);
}

static void deadline(void)
{
	size_t received = 0;
	CURL *easy = handle_for("/never", &received);
	struct rota_scope scope;

	expect(rota_scope_open(&scope, ROTA_MS(50)), ==, 0);
	expect(rota_curl_perform(easy), ==, -ETIMEDOUT);
	expect(rota_curl_perform(easy), ==, -ETIMEDOUT); /* it stays so */
	expect(rota_scope_close(&scope), ==, -ETIMEDOUT);
	wait_until_abandoned(2);
	expect_works(easy, &received);
	curl_easy_cleanup(easy);
}

static int perform(void *arg)
{
	return rota_curl_perform(arg);
}

static void cancelled(void)
{
	size_t received = 0;
	CURL *easy = handle_for("/never", &received);
	rota_task *task;
	int status;

	expect(rota_spawn(&task, perform, easy), ==, 0);
	expect(rota_sleep(ROTA_MS(20)), ==, 0);
	expect(rota_cancel(task), ==, 0);
	expect(rota_join(task, &status), ==, 0);
	expect(status, ==, -ECANCELED);
	wait_until_abandoned(3);
	expect_works(easy, &received);
	curl_easy_cleanup(easy);
}

static int let_resolve(void *arg)
{
	(void)arg;
	while (atomic_load(&resolving) == 0)
		expect(rota_sleep(ROTA_MS(1)), ==, 0);
	expect(rota_sleep(ROTA_MS(100)), ==, 0); /* the other one has long given up, and waits for the resolver */
	atomic_store(&may_resolve, true);
	return 0;
}

/* Given up while its name is resolved: that thread is waited for, and others go on meanwhile, also with one worker. */
static void slow_name(void)
{
	size_t received = 0;
	CURL *easy = handle_for("/", &received);
	struct rota_scope scope;
	rota_task *task;

	curl_easy_setopt(easy, CURLOPT_URL, "http://slow.test/");
	expect(rota_spawn(&task, let_resolve, NULL), ==, 0);
	expect(rota_scope_open(&scope, ROTA_MS(50)), ==, 0);
	expect(rota_curl_perform(easy), ==, -ETIMEDOUT);
	expect(rota_scope_close(&scope), ==, -ETIMEDOUT);
	expect(atomic_load(&resolving), ==, 0);
	expect(rota_join(task, NULL), ==, 0);
	expect(rota_curl_perform(easy), ==, CURLE_COULDNT_RESOLVE_HOST);
	expect_works(easy, &received);
	curl_easy_cleanup(easy);
}

/* One connection for all that are made in the same multi handle. */
static void kept_connection(void)
{
	size_t received = 0;
	unsigned before = atomic_load(&server.connections);
	CURL *easy = handle_for("/", &received), *other = handle_for("/", &received);
	CURLM *multi = curl_multi_init();

	expect_pointer(multi, !=, NULL);
	for (int i = 0; i < 5; i++) {
		expect(rota_curl_perform_in(multi, easy), ==, 0);
		expect(rota_curl_perform_in(multi, other), ==, 0);
	}
	expect(received, ==, 50);
	expect(atomic_load(&server.connections), ==, before + 1);
	curl_multi_cleanup(multi);
	curl_easy_cleanup(easy);
	curl_easy_cleanup(other);
}

static int get_by_name(void *arg)
{
	size_t received = 0;
	CURL *easy = handle_for("/", &received);
	char url[128];

	(void)arg;
	snprintf(url, sizeof(url), "http://localhost:%d/", server.port);
	curl_easy_setopt(easy, CURLOPT_URL, url);
	expect(rota_curl_perform(easy), ==, 0);
	expect(received, ==, 5);
	curl_easy_cleanup(easy);
	return 0;
}

static void many(void)
{
	struct rota_scope scope;

	expect(rota_scope_open(&scope, 0), ==, 0);
	for (int i = 0; i < TRANSFERS; i++)
		expect(rota_scope_spawn(&scope, NULL, get_by_name, NULL), ==, 0);
	expect(rota_scope_close(&scope), ==, 0);
}

static int async_main(int argc, char **argv)
{
	const char *flavor = getenv("ROTA_FLAVOR");

	(void)argc;
	(void)argv;
	own_server_start(&server, serve);
	snprintf(base, sizeof(base), "http://127.0.0.1:%d", server.port);
	results();
	deadline();
	cancelled();
	if (flavor == NULL || strcmp(flavor, "current_thread") != 0)
		slow_name();
	kept_connection();
	many();
	own_server_stop(&server);
	return 0;
}

int main(int argc, char **argv)
{
	int status;

	expect(curl_global_init(CURL_GLOBAL_DEFAULT), ==, CURLE_OK);
	status = rota_run(async_main, argc, argv);
	curl_global_cleanup();
	return status;
}
