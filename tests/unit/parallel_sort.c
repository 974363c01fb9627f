/* SPDX-License-Identifier: MIT */
/*
 * Sorts in parallel, typed and by a pointer to a comparison: every length up to some hundred and around each boundary,
 * what is random, equal, in order, reversed; each element is there once, and equal ones are in their former order. Then
 * no memory, cancellation, an order that is none, and what is refused.
 */
#define _GNU_SOURCE
#include "../../runtime/sys_internal.h"
#include "places.h"

#define EACH_LENGTH 200u
#define MOST 50000u

/* What an element is sorted by, and where it stood: enough to know whether it has been sorted as it should be. */
#define FIELDS uint32_t key, place

struct pair {
	FIELDS;
};
struct four {
	FIELDS, more[2];
};
struct five {
	FIELDS, more[3];
};

static bool pair_less(const struct pair *a, const struct pair *b, void *arg)
{
	expect_pointer(arg, ==, &pair_less);
	return a->key < b->key;
}

/* A macro does, too. */
#define four_less(a, b, arg) ((void)(arg), (a)->key < (b)->key)
#define five_less four_less
#define letter_less(a, b, arg) ((void)(arg), *(a) < *(b))

ROTA_SORT_DEFINE(sort_pairs, struct pair, pair_less)
ROTA_SORT_DEFINE(sort_fours, struct four, four_less)
ROTA_SORT_DEFINE(sort_fives, struct five, five_less)
ROTA_SORT_DEFINE(sort_letters, char, letter_less)

static int by_key(const void *a, const void *b, void *arg)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	(void)arg;
	return x < y ? -1 : x > y;
}

/* Elements of `size` bytes, by a typed sort or by a pointer. */
struct shape {
	size_t size;
	int (*sort)(void *array, size_t n, size_t size);
};

static int as_pairs(void *array, size_t n, size_t size)
{
	(void)size;
	return sort_pairs(array, n, (void *)&pair_less);
}

static int as_fours(void *array, size_t n, size_t size)
{
	(void)size;
	return sort_fours(array, n, NULL);
}

static int as_fives(void *array, size_t n, size_t size)
{
	(void)size;
	return sort_fives(array, n, NULL);
}

static int by_pointer(void *array, size_t n, size_t size)
{
	return rota_parallel_sort(array, n, size, by_key, NULL);
}

static const struct shape shapes[] = {
	{ 8, as_pairs },    { 16, as_fours },   { 20, as_fives },   { 8, by_pointer },
	{ 16, by_pointer }, { 20, by_pointer }, { 44, by_pointer },
};

#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

enum content { RANDOM, FEW_KEYS, ONE_KEY, IN_ORDER, REVERSED, NEARLY, CONTENTS };

static uint32_t key_of(enum content content, uint32_t i, uint32_t n)
{
	const uint32_t random = (i * 2654435761u ^ 0x5bd1e995u) * 2246822519u >> 4;

	switch (content) {
	case RANDOM:
		return random;
	case FEW_KEYS:
		return random % 7;
	case IN_ORDER:
		return i / 2;
	case REVERSED:
		return n - i;
	case NEARLY:
		return i % 100 == 50 ? 0 : i;
	default:
		return 5;
	}
}

static uint32_t *element(unsigned char *array, size_t i, size_t size)
{
	return (uint32_t *)(void *)(array + i * size);
}

static void fill(unsigned char *array, uint32_t n, size_t size, enum content content)
{
	for (uint32_t i = 0; i < n; i++) {
		const uint32_t key = key_of(content, i, n);
		uint32_t *words = element(array, i, size);

		words[0] = key;
		for (size_t w = 1; w < size / 4; w++)
			words[w] = i * (uint32_t)w; /* the first of them is where it stands */
	}
}

static void check(unsigned char *array, uint32_t n, size_t size, enum content content)
{
	uint8_t *seen = calloc(n + 1u, 1);

	for (uint32_t i = 0; i < n; i++) {
		const uint32_t *words = element(array, i, size), *before = element(array, i > 0 ? i - 1 : 0, size);

		expect(words[1], <, n);
		expect(seen[words[1]]++, ==, 0);
		expect(words[0], ==, key_of(content, words[1], n));
		for (size_t w = 1; w < size / 4; w++)
			expect(words[w], ==, words[1] * (uint32_t)w);
		expect(before[0], <=, words[0]);
		if (i > 0 && before[0] == words[0])
			expect(before[1], <, words[1]);
	}
	free(seen);
}

static void sort_and_check(unsigned char *array, const struct shape *shape, uint32_t n, enum content content)
{
	uint32_t *behind = element(array, n, shape->size);

	fill(array, n, shape->size, content);
	*behind = 0xdeadbeef;
	expect(shape->sort(array, n, shape->size), ==, 0);
	check(array, n, shape->size, content);
	expect(*behind, ==, 0xdeadbeef);
}

static void sort_script(const struct place *place)
{
	static const uint32_t lengths[] = { 2047, 2048, 2049, 4095, 4096, 4097, 6143, MOST };
	unsigned char *array = malloc(44 * ((size_t)MOST + 1));

	(void)place;
	for (unsigned s = 0; s < SHAPES; s++) {
		for (enum content content = RANDOM; content < CONTENTS; content++) {
			for (uint32_t n = 0; n <= EACH_LENGTH; n++)
				sort_and_check(array, &shapes[s], n, content);
			for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
				sort_and_check(array, &shapes[s], lengths[i], content);
		}
	}
	free(array);
}

UNIT_TEST(parallel_sort, keeps_each_element_and_is_stable_everywhere)
{
	everywhere(sort_script);
}

static int by_letter(const void *a, const void *b, void *arg)
{
	(void)arg;
	return *(const char *)a - *(const char *)b;
}

TASK_TEST(parallel_sort, takes_the_smallest_elements)
{
	const char sorted[] = "abcdeeefghhijklmnoooopqrrsttuuvwxyz";
	char letters[] = "thequickbrownfoxjumpsoverthelazydog", again[sizeof(letters)];
	uint32_t words[EACH_LENGTH];

	memcpy(again, letters, sizeof(letters));
	expect(sort_letters(letters, sizeof(letters) - 1, NULL), ==, 0);
	cr_assert_str_eq(letters, sorted);
	expect(rota_parallel_sort(again, sizeof(again) - 1, 1, by_letter, NULL), ==, 0);
	cr_assert_str_eq(again, sorted);
	for (uint32_t i = 0; i < EACH_LENGTH; i++)
		words[i] = i * 77 % EACH_LENGTH;
	expect(rota_parallel_sort(words, EACH_LENGTH, 4, by_key, NULL), ==, 0);
	for (uint32_t i = 0; i < EACH_LENGTH; i++)
		expect(words[i], ==, i);
}

/* --- what is refused, and what goes wrong ---------------------------------------------------------------------------- */

TASK_TEST(parallel_sort, without_memory_changes_nothing)
{
	struct pair pairs[3] = { { 3, 0 }, { 2, 1 }, { 1, 2 } };

	unit_no_more_spares(rota_runtime_current());
	rota__fault_arm(ROTA__FAULT_ALLOC, 1, -ENOMEM);
	expect(rota_parallel_sort(pairs, 3, sizeof(pairs[0]), by_key, NULL), ==, -ENOMEM);
	rota__fault_arm(ROTA__FAULT_ALLOC, 1, -ENOMEM);
	expect(sort_pairs(pairs, 3, (void *)&pair_less), ==, -ENOMEM);
	for (uint32_t i = 0; i < 3; i++)
		expect(pairs[i].place, ==, i);
	expect(sort_pairs(pairs, 3, (void *)&pair_less), ==, 0);
	expect(pairs[0].key, ==, 1);
}

TASK_TEST(parallel_sort, refuses_what_cannot_be)
{
	struct pair pairs[3] = { { 3, 0 }, { 2, 1 }, { 1, 2 } };

	expect(rota_parallel_sort(pairs, 3, 0, by_key, NULL), ==, -EINVAL);
	expect(rota_parallel_sort(pairs, 3, 4, NULL, NULL), ==, -EINVAL);
	expect(rota_parallel_sort(NULL, 3, 4, by_key, NULL), ==, -EINVAL);
	expect(rota_parallel_sort(pairs, SIZE_MAX / 2, 4, by_key, NULL), ==, -EINVAL);
	expect(sort_pairs(NULL, 3, NULL), ==, -EINVAL);
	expect(sort_pairs(pairs, SIZE_MAX / 2, NULL), ==, -EINVAL);
	expect(sort_pairs(NULL, 0, NULL), ==, 0);
	expect(pairs[0].key, ==, 3);
}

TASK_TEST(parallel_sort, says_that_it_was_cancelled)
{
	unsigned char *array = malloc(8 * ((size_t)MOST + 1));
	struct rota_scope scope;

	fill(array, MOST, 8, RANDOM);
	expect(rota_scope_open(&scope, 0), ==, 0);
	rota_scope_cancel(&scope);
	expect(as_pairs(array, MOST, 8), ==, -ECANCELED);
	expect(by_pointer(array, MOST, 8), ==, -ECANCELED);
	expect(rota_scope_close(&scope), ==, 0);
	sort_and_check(array, &shapes[0], MOST, RANDOM); /* and that is over */
	free(array);
}

static bool anyhow(const struct pair *a, const struct pair *b, void *arg)
{
	uint32_t *state = arg;

	expect(a->place, <, MOST);
	expect(b->place, <, MOST);
	*state = *state * 1664525 + 1013904223;
	return *state >> 31;
}

ROTA_SORT_DEFINE(sort_anyhow, struct pair, anyhow)

/* The comparison sees elements of the array and nothing else, nor is anything else written. */
UNIT_TEST(parallel_sort, stays_within_the_array_without_an_order)
{
	unsigned char *array = malloc(8 * ((size_t)MOST + 1));

	for (uint32_t n = 2; n <= MOST; n += n / 3 + 1) {
		uint32_t state = n;

		fill(array, n, 8, RANDOM);
		*element(array, n, 8) = 0xdeadbeef;
		expect(sort_anyhow((struct pair *)(void *)array, n, &state), ==, 0);
		expect(*element(array, n, 8), ==, 0xdeadbeef);
		for (uint32_t i = 0; i < n; i++)
			expect(element(array, i, 8)[1], <, n);
	}
	free(array);
}
