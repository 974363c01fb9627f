/* SPDX-License-Identifier: MIT */
/*
 * libcurl in tasks: curl_easy_perform that suspends the fiber and not the thread. Copy the two files, or learn from them how
 * a library is adopted that says which descriptors it waits for (here: libcurl's multi socket interface).
 *
 *	CURL *easy = curl_easy_init();
 *	...
 *	curl_easy_setopt(easy, CURLOPT_URL, url);
 *	rc = rota_curl_perform(easy);
 *	if (rc != 0)
 *		fprintf(stderr, "%s: %s\n", url, rota_curl_strerror(rc));
 *
 * Call curl_global_init once, before there are threads. A handle belongs to one fiber at a time. Callbacks of the handle run
 * in that fiber, inside of libcurl: they may compute and must not wait.
 */
#ifndef ROTA_CURL_H
#define ROTA_CURL_H

#include <curl/curl.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * As curl_easy_perform, which it replaces. 0; a CURLcode, which is > 0, as that would return it; or a negative errno when
 * it did not come to an end: -ECANCELED, -ETIMEDOUT (the task was cancelled, or a scope's time was over: that works besides
 * CURLOPT_TIMEOUT and the like), -ENOMEM. Then the transfer was given up, its connection is closed, and the handle may be
 * used again or cleaned up, as after any other result. CURLOPT_NOSIGNAL is set, as threads need it.
 *
 * Waits: a cancellation point; from a fiber, a blocking job, or a plain thread inside rota_block_on. Names are resolved on
 * threads of libcurl's, and when a transfer is given up, the one that still resolves is waited for: in the current-thread
 * flavour that holds up the other tasks.
 *
 * The connection is closed in the end. To keep it for the next transfer use the next function.
 */
int rota_curl_perform(CURL *easy);

/*
 * The same in a multi handle of the caller's (curl_multi_init), which keeps connections and resolved names from one transfer
 * to the next. It belongs to one fiber at a time, and has no other use: its socket and timer functions are set here.
 */
int rota_curl_perform_in(CURLM *multi, CURL *easy);

/* The text for a result of the two: a CURLcode or a negative errno. As strerror, which it may call. */
const char *rota_curl_strerror(int result);

#ifdef __cplusplus
}
#endif

#endif
