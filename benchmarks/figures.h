/* SPDX-License-Identifier: MIT */
/* The results of a session: takes the lines that rounds print, and prints median, minimum and maximum. */
#ifndef BENCHMARKS_FIGURES_H
#define BENCHMARKS_FIGURES_H

#include "harness.h"

enum { FIGURES_CONTENDERS = 12, FIGURES_SERIES = 128, FIGURES_NAME = 48, FIGURES_UNIT = 16 };

/* All values of one result of one contender, a value a round. */
struct series {
	char name[FIGURES_NAME];
	char unit[FIGURES_UNIT];
	unsigned contender;
	unsigned count;
	double *values;
};

struct figures {
	const struct bench *bench;
	unsigned rounds; /* no series has more values */
	unsigned contender_count, series_count;
	const char *names[FIGURES_CONTENDERS]; /* of the contenders; the first is rota */
	char notes[FIGURES_CONTENDERS][256];
	char errors[FIGURES_CONTENDERS][128]; /* why one dropped out */
	struct series series[FIGURES_SERIES];
};

/* One line of a round, which is cut to pieces. -EPROTO: no such line, or more results than there is room for. */
int figures_take_line(struct figures *f, unsigned contender, char *line);

/* Something to be said once about a contender. */
void figures_note(struct figures *f, unsigned contender, const char *text);

/* Once all rounds are over; then one of the two. */
void figures_sort(struct figures *f);
void figures_print_table(const struct figures *f);
void figures_print_json(const struct figures *f);

#endif
