/* SPDX-License-Identifier: MIT */
/*
 * Checks that print both sides. They work on every thread and in every task: the first that fails ends the process
 * with exit code 1, which Criterion and meson both count as a failure.
 */
#ifndef TESTS_EXPECT_H
#define TESTS_EXPECT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int expect_output_ = STDERR_FILENO; /* another one while a test catches standard error */

#define EXPECT_HANG_S 30 /* what does not come in this time never comes */

/* Printed with a failure: which of many cases it is. NULL: nothing. */
static const char *expect_about;

/* Any two integers, whatever their types: expect(rc, ==, -EINVAL). */
#define expect(left, relation, right) \
	do { \
		const __int128 left_ = (left), right_ = (right); \
\
		if (!(left_ relation right_)) \
			expect_failed_(__FILE__, __LINE__, #left " " #relation " " #right, left_, right_); \
	} while (0)

#define expect_pointer(left, relation, right) \
	expect((unsigned long long)(uintptr_t)(left), relation, (unsigned long long)(uintptr_t)(right))

#define expect_text(left, right) expect_text_(__FILE__, __LINE__, #left, (left), (right), false)

/* `part` occurs in `text`. */
#define expect_contains(text, part) expect_text_(__FILE__, __LINE__, #text, (text), (part), true)

/* Waits for something that another thread will bring about and that nobody announces. */
#define expect_eventually(condition) \
	do { \
		const time_t start_ = expect_seconds_(); \
\
		while (!(condition)) { \
			if (expect_seconds_() - start_ > EXPECT_HANG_S) \
				expect_failed_(__FILE__, __LINE__, "this comes some day: " #condition, 0, 1); \
			usleep(100); \
		} \
	} while (0)

static inline time_t expect_seconds_(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

static inline _Noreturn void expect_failed_(const char *file, int line, const char *what, __int128 left, __int128 right)
{
	fflush(stdout);
	if (expect_about != NULL)
		dprintf(expect_output_, "%s:\n", expect_about);
	dprintf(expect_output_, "%s:%d: failed: %s\n\tleft:  %lld (0x%llx)\n\tright: %lld (0x%llx)\n", file, line, what,
		(long long)left, (unsigned long long)left, (long long)right, (unsigned long long)right);
	_exit(1);
}

static inline void expect_text_(const char *file, int line, const char *what, const char *left, const char *right,
				bool part)
{
	if (part ? strstr(left, right) != NULL : strcmp(left, right) == 0)
		return;
	fflush(stdout);
	dprintf(expect_output_, "%s:%d: failed: %s\n\tis:       \"%s\"\n\texpected: \"%s\"%s\n", file, line, what, left,
		right, part ? " somewhere in it" : "");
	_exit(1);
}

#endif
