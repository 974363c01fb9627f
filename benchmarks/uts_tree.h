/* SPDX-License-Identifier: MIT */
/*
 * The trees of the unbalanced tree search (Olivier and others, "UTS: An Unbalanced Tree Search Benchmark"), whose shape
 * comes out of SHA-1. All contenders call this one, so that they differ by how they fork only.
 */
#ifndef BENCHMARKS_UTS_TREE_H
#define BENCHMARKS_UTS_TREE_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct uts_state {
	uint8_t byte[20];
};

struct uts_tree {
	const char *name;
	bool binomial;
	uint32_t seed;
	double branching; /* of the root; geometric: the mean of all */
	unsigned depth;   /* geometric: nodes so deep have no children */
	double probability;
	unsigned children; /* binomial: a node has so many with that probability, else none */
	uint64_t nodes;
};

/* T1L (geometric, 102 million nodes, 13 deep) or T1; with deep, T3L (binomial, 111 million nodes, 17,844 deep) or T3. */
const struct uts_tree *uts_tree_find(bool deep, bool small);

/* The root, and child `number` of a node whose children are `depth` deep; how many children each of them has. */
unsigned uts_tree_root(const struct uts_tree *tree, struct uts_state *ret_state);
unsigned uts_tree_child(const struct uts_tree *tree, const struct uts_state *parent, unsigned number, unsigned depth,
			struct uts_state *ret_state);

#ifdef __cplusplus
}
#endif

#endif
