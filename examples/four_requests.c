/* SPDX-License-Identifier: MIT */
/*
 * Four requests to a service that answers after 140 ms, one after the other, then at once. libcurl makes them, and waits as
 * tasks do: see adapters/rota_curl.h.
 *
 *   http_server 127.0.0.1 8080 &
 *   four_requests [URL]     default http://127.0.0.1:8080/delay/0.14
 */
#include <errno.h>
#include <stdio.h>

#include <rota.h>

#include "adapters/rota_curl.h"

enum { REQUESTS = 4 };

#define PUBLISHED_SEQUENTIAL_MS 656.0 /* of the original, over the internet */
#define PUBLISHED_JOINED_MS 137.0
#define PUBLISHED_RATIO 4.7

static size_t drop(char *bytes, size_t size, size_t n, void *arg)
{
	(void)bytes;
	(void)arg;
	return size * n;
}

/* A task's function: a result that is not 0 is told here, and is -EIO to the caller when only libcurl knows it. */
static int request(void *arg)
{
	const char *url = arg;
	CURL *easy = curl_easy_init();
	int rc = -ENOMEM;

	if (easy != NULL && curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK) {
		curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop);
		curl_easy_setopt(easy, CURLOPT_FAILONERROR, 1L);
		rc = rota_curl_perform(easy);
	}
	curl_easy_cleanup(easy);
	if (rc != 0)
		fprintf(stderr, "%s: %s\n", url, rota_curl_strerror(rc));
	return rc > 0 ? -EIO : rc;
}

static int one_after_the_other(char *url)
{
	int rc = 0;

	for (int i = 0; i < REQUESTS && rc == 0; i++)
		rc = request(url);
	return rc;
}

static int joined(char *url)
{
	struct rota_scope scope;
	int closed, rc = rota_scope_open(&scope, 0);

	if (rc < 0)
		return rc;
	for (int i = 0; i < REQUESTS && rc == 0; i++)
		rc = rota_scope_spawn(&scope, NULL, request, url);
	closed = rota_scope_close(&scope);
	return rc < 0 ? rc : closed;
}

static int measure(int (*way)(char *url), char *url, double *ret_ms)
{
	uint64_t start = rota_now();
	int rc = way(url);

	*ret_ms = (double)(rota_now() - start) / 1e6;
	return rc;
}

static int async_main(int argc, char **argv)
{
	char standard[] = "http://127.0.0.1:8080/delay/0.14", *url = argc == 2 ? argv[1] : standard;
	double sequential, together;
	int rc;

	if (argc > 2 || url[0] == '-') {
		fprintf(stderr, "usage: %s [URL]\n", argv[0]);
		return 2;
	}
	rc = measure(one_after_the_other, url, &sequential);
	if (rc == 0)
		rc = measure(joined, url, &together);
	if (rc == 0)
		printf("one after the other: %.0f ms (published for the original: %.0f)\n"
		       "joined: %.0f ms (published for the original: %.0f)\n"
		       "ratio: %.1f (published for the original: %.1f)\n",
		       sequential, PUBLISHED_SEQUENTIAL_MS, together, PUBLISHED_JOINED_MS, sequential / together,
		       PUBLISHED_RATIO);
	return rc < 0 || fflush(stdout) != 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	int status;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		fprintf(stderr, "four_requests: libcurl does not start\n");
		return 1;
	}
	status = rota_run(async_main, argc, argv);
	curl_global_cleanup();
	return status;
}
