/* SPDX-License-Identifier: MIT */
/* See figures.h. */
#define _GNU_SOURCE
#include "figures.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

/* The place for the next value of a result; NULL when there are too many. */
static double *next_value(struct figures *f, unsigned contender, const char *name, const char *unit)
{
	struct series *series = f->series, *end = f->series + f->series_count;

	while (series < end && (series->contender != contender || strcmp(series->name, name) != 0))
		series++;
	if (series == end) {
		if (f->series_count == FIGURES_SERIES)
			return NULL;
		series->values = calloc(f->rounds, sizeof(*series->values));
		if (!series->values)
			return NULL;
		snprintf(series->name, sizeof(series->name), "%s", name);
		snprintf(series->unit, sizeof(series->unit), "%s", unit);
		series->contender = contender;
		f->series_count++;
	}
	return series->count < f->rounds ? &series->values[series->count++] : NULL;
}

void figures_note(struct figures *f, unsigned contender, const char *text)
{
	char *notes = f->notes[contender];
	size_t used = strlen(notes);

	if (!strstr(notes, text))
		snprintf(notes + used, sizeof(f->notes[0]) - used, "%s%s", used ? "; " : "", text);
}

int figures_take_line(struct figures *f, unsigned contender, char *line)
{
	char name[FIGURES_NAME], unit[FIGURES_UNIT];
	double value, *place;

	line[strcspn(line, "\n")] = '\0';
	if (line[0] == '#') {
		figures_note(f, contender, line + 1 + strspn(line + 1, " "));
		return 0;
	}
	if (sscanf(line, "%47s %lf %15s", name, &value, unit) != 3)
		return -EPROTO;
	place = next_value(f, contender, name, unit);
	if (!place)
		return -EPROTO;
	*place = value;
	return 0;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void figures_sort(struct figures *f)
{
	for (unsigned i = 0; i < f->series_count; i++)
		qsort(f->series[i].values, f->series[i].count, sizeof(double), compare_doubles);
}

/* Of a sorted series. */
static double median(const struct series *series)
{
	unsigned middle = series->count / 2;

	return series->count % 2 ? series->values[middle] : (series->values[middle - 1] + series->values[middle]) / 2;
}

static const struct series *find_series(const struct figures *f, unsigned contender, const char *name)
{
	for (const struct series *s = f->series; s < f->series + f->series_count; s++)
		if (s->contender == contender && strcmp(s->name, name) == 0)
			return s;
	return NULL;
}

/* How many times better rota (the first contender) is than a peer, or 0 when that cannot be said. */
static double ahead_by(const struct figures *f, const struct series *peer)
{
	const struct series *own = find_series(f, 0, peer->name);
	size_t len = strlen(peer->unit);
	bool more_is_better = len >= 2 && strcmp(peer->unit + len - 2, "/s") == 0;

	if (!own || own == peer || median(own) <= 0 || median(peer) <= 0)
		return 0;
	return more_is_better ? median(own) / median(peer) : median(peer) / median(own);
}

static void print_heading(const struct figures *f)
{
	struct utsname system;

	printf("%s: %s\n", f->bench->name, f->bench->about);
	if (uname(&system) == 0)
		printf("Linux %s %s, %ld CPUs, ", system.release, system.machine, sysconf(_SC_NPROCESSORS_ONLN));
	printf("%" PRIu64 " workers, up to %u rounds\n", bench_param("workers"), f->rounds);
	for (unsigned i = 0; i < f->contender_count; i++)
		if (f->notes[i][0])
			printf("%s: %s\n", f->names[i], f->notes[i]);
	printf("\n%-20s %-10s %12s %12s %12s  %-5s%s\n", "result", "contender", "median", "min", "max", "unit",
	       f->contender_count > 1 ? "  rota ahead" : "");
}

static void print_row(const struct figures *f, const struct series *s)
{
	double ahead = ahead_by(f, s);

	printf("%-20s %-10s %12.2f %12.2f %12.2f  %-5s", s->name, f->names[s->contender], median(s), s->values[0],
	       s->values[s->count - 1], s->unit);
	if (ahead > 0)
		printf(" %10.2fx", ahead);
	printf("\n");
}

/* Whether an earlier series has the same name: its rows have been printed there. */
static bool seen_before(const struct figures *f, const struct series *s)
{
	for (const struct series *before = f->series; before < s; before++)
		if (strcmp(before->name, s->name) == 0)
			return true;
	return false;
}

void figures_print_table(const struct figures *f)
{
	print_heading(f);
	for (const struct series *first = f->series; first < f->series + f->series_count; first++) {
		if (seen_before(f, first))
			continue;
		for (unsigned contender = 0; contender < f->contender_count; contender++) {
			const struct series *s = find_series(f, contender, first->name);

			if (s)
				print_row(f, s);
		}
	}
	printf("\n");
}

/* Cuts out what JSON would want escaped: no name or unit has it, and a note can do without. */
static void print_json_string(const char *key, const char *text)
{
	printf("\"%s\":\"", key);
	for (; *text; text++)
		if ((unsigned char)*text >= ' ' && *text != '"' && *text != '\\')
			putchar(*text);
	printf("\",");
}

void figures_print_json(const struct figures *f)
{
	struct utsname system;
	bool known = uname(&system) == 0;

	for (unsigned i = 0; i < f->contender_count; i++) {
		if (!f->errors[i][0])
			continue;
		printf("{");
		print_json_string("workload", f->bench->name);
		print_json_string("contender", f->names[i]);
		printf("\"error\":\"%s\"}\n", f->errors[i]);
	}
	for (const struct series *s = f->series; s < f->series + f->series_count; s++) {
		printf("{");
		print_json_string("workload", f->bench->name);
		print_json_string("result", s->name);
		print_json_string("contender", f->names[s->contender]);
		print_json_string("notes", f->notes[s->contender]);
		print_json_string("unit", s->unit);
		print_json_string("kernel", known ? system.release : "");
		printf("\"workers\":%" PRIu64 ",\"median\":%.9g,\"min\":%.9g,\"max\":%.9g,\"rounds\":[",
		       bench_param("workers"), median(s), s->values[0], s->values[s->count - 1]);
		for (unsigned i = 0; i < s->count; i++)
			printf("%s%.9g", i ? "," : "", s->values[i]);
		printf("]}\n");
	}
}
