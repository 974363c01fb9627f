/* SPDX-License-Identifier: MIT */
/* The sequence lock of watch and broadcast: a reader that was told "one whole value" has one, and the one of its stamp. */
#include "../../sync/words_internal.h"

#include "model.h"

static struct rota_atomic_u64 stamp, words[2];

static void write(uint64_t n)
{
	const uint64_t value[2] = { n, n };

	rota__words_write(&stamp, 2 * n, words, value, sizeof(value));
}

static void setup(void)
{
	stamp.value = words[0].value = words[1].value = 0;
	write(1);
}

static void writer(void)
{
	write(2);
}

static void writer_twice(void)
{
	write(2);
	write(3);
}

static void read(void)
{
	uint64_t value[2];
	uint64_t seen = rota__load(&stamp, ACQUIRE); /* as watch.c and broadcast.c do */

	if (seen % 2 != 0 || !rota__words_read(&stamp, seen, words, value, sizeof(value))) {
		model_outcome(0);
		return;
	}
	model_check(value[0] == seen / 2 && value[1] == seen / 2);
	model_outcome((unsigned)value[0]);
}

const struct model_scenario model_scenarios[] = {
	{ "words: write, read", setup, { writer, read }, NULL, 0x7, 0, 0 },
	{ "words: two writes, read", setup, { writer_twice, read }, NULL, 0xf, 0, 0 },
	{ "words: write, two read", setup, { writer, read, read }, NULL, 0x7, 0, 0 },
	{ .name = NULL },
};
