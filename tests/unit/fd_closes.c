/* SPDX-License-Identifier: MIT */
/* How often a number was closed: all closes count once, wherever they come from, and before the number is free. */
#define _GNU_SOURCE
#include "../../io/fd_closes_internal.h"

#include <limits.h>
#include <sys/wait.h>

#include "../../io/carrier_internal.h"
#include "../../io/fd.h"
#include "../../io/op.h"
#include "places.h"
#include "plain.h"

static int number_of_a_file(void)
{
	return plain_far(dup(STDERR_FILENO));
}

static void count_script(const struct place *place)
{
	const int fd = number_of_a_file();
	const uint16_t before = rota__fd_closes(fd);
	struct rota_op closer;

	rota_op_close(&closer, fd);
	expect(rota__fd_closes(fd), ==, before);
	expect(place->carry(place, &closer.future), ==, 0);
	expect(rota__fd_closes(fd), ==, (uint16_t)(before + 1));
	expect(rota__fd_closes(fd + 1), ==, 0);
}

UNIT_TEST(fd_closes, count_everywhere)
{
	everyhow(count_script);
}

/* In place, by whoever began before the close; also outside of any runtime. */
static void call_script(const struct place *place)
{
	const int fd = number_of_a_file();
	const uint16_t before = rota__fd_closes(fd);

	(void)place;
	expect(rota__call_begin(fd, before), ==, true);
	rota__call_end(fd);
	expect(rota_close(fd), ==, 0);
	expect(rota__call_begin(fd, before), ==, false);
	expect(rota__call_begin(fd, rota__fd_closes(fd)), ==, true);
	rota__call_end(fd);
}

UNIT_TEST(fd_closes, are_seen_by_calls)
{
	everyhow(call_script);
}

UNIT_TEST(fd_closes, of_what_is_no_number)
{
	const int numbers[] = { -1, INT_MIN, INT_MAX, (int)ROTA__COUNTED_FDS };

	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		rota__fd_count_close(numbers[i]);
		expect(rota__fd_closes(numbers[i]), ==, 0);
	}
	rota__fd_count_close((int)ROTA__COUNTED_FDS - 1);
	expect(rota__fd_closes((int)ROTA__COUNTED_FDS - 1), ==, 1);
}

/* It has copies of the descriptors, and of their counts. */
UNIT_TEST(fd_closes, in_a_child_of_fork)
{
	const int fd = number_of_a_file();
	int status;
	pid_t child;

	rota__fd_count_close(fd);
	child = fork();
	if (child == 0)
		_exit(rota__fd_closes(fd) == 1 && rota_close(fd) == 0 && rota__fd_closes(fd) == 2 ? 0 : 1);
	expect(waitpid(child, &status, 0), ==, child);
	expect(status, ==, 0);
	expect(rota__fd_closes(fd), ==, 1);
	close(fd);
}
