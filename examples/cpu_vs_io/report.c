/* SPDX-License-Identifier: MIT */
/* The figures as a table, and as JSON. */
#include <errno.h>

#include "cpu_vs_io.h"

void report_head(FILE *file, const struct size *s)
{
	fprintf(file, "computing: %zu pieces of fib(%u)\n", s->compute_pieces, s->fib_n);
	fprintf(file, "requests:  %zu pieces of %u over TCP to a process that takes %d ms for each\n",
		s->request_pieces, s->requests, ANSWER_MS);
	fprintf(file, "files:     %zu pieces of %u files of %d bytes, written over and read back %u times\n\n",
		s->file_pieces, s->files, FILE_BYTES, s->passes);
	fprintf(file, "%-10s %-15s %9s %9s %12s %10s %10s\n", "work", "way", "time s", "CPU s", "peak KiB", "switches",
		"speed-up");
}

void report_row(FILE *file, const struct kind *kind, int way)
{
	const struct figures *f = &kind->figures[way];

	fprintf(file, "%-10s %-15s %9.3f %9.3f %12ld %10ld %9.2fx\n", way == 0 ? kind->name : "", ways[way].name,
		f->wall, f->cpu, f->peak_kib, f->switches, kind->figures[0].wall / f->wall);
	fflush(file);
}

static void write_object(FILE *file, const struct kind *kind, int way)
{
	const struct figures *f = &kind->figures[way];

	fprintf(file,
		"{\"work\": \"%s\", \"way\": \"%s\", \"pieces\": %zu, \"time_s\": %.6f, \"cpu_s\": %.6f, "
		"\"peak_kib\": %ld, \"switches\": %ld, \"speed_up\": %.3f}",
		kind->name, ways[way].name, kind->pieces, f->wall, f->cpu, f->peak_kib, f->switches,
		kind->figures[0].wall / f->wall);
}

/* An array of an object for each row. None of the names has a character that JSON would want escaped. */
int report_json(const char *path, const struct kind *kinds)
{
	FILE *file = fopen(path, "we");
	int rc = 0;

	if (!file)
		return -errno;
	for (int k = 0; k < KINDS; k++) {
		for (int w = 0; w < WAYS; w++) {
			fprintf(file, "%s\n", k || w ? "," : "[");
			write_object(file, &kinds[k], w);
		}
	}
	fprintf(file, "\n]\n");
	if (ferror(file))
		rc = -EIO;
	if (fclose(file) != 0 && rc == 0)
		rc = -errno;
	return rc;
}
