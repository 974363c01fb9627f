/* SPDX-License-Identifier: MIT */
/* The figures as a picture, drawn by gnuplot: for each kind of work the time and the peak memory of every way. */
#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "cpu_vs_io.h"

/* A bar for each way, with its value. */
static void plot(FILE *gnuplot, const struct kind *kind, const char *title, double (*value)(const struct figures *f))
{
	fprintf(gnuplot, "set title \"%s: %s\"\n$data << END\n", kind->name, title);
	for (int w = 0; w < WAYS; w++)
		fprintf(gnuplot, "%d %.4g \"%s\"\n", w, value(&kind->figures[w]), ways[w].name);
	fprintf(gnuplot, "END\nplot $data using 1:2:($1 + 1):xticlabels(3) with boxes linecolor variable, "
			 "$data using 1:2:(sprintf(\"%%.2g\", $2)) with labels offset 0,0.6\n");
}

static double time_s(const struct figures *f)
{
	return f->wall;
}

static double memory_mib(const struct figures *f)
{
	return (double)f->peak_kib / 1024;
}

static void draw(FILE *gnuplot, const char *path, const struct kind *kinds)
{
	fprintf(gnuplot,
		"set terminal svg size 1200,850 dynamic background rgb 'white' font 'sans,13'\n"
		"set output '%s'\n" /* nothing is special in single quotes */
		"set multiplot layout 2,%d title \"The same pieces of work, done in %d ways: less is better\"\n"
		"unset key\nset style fill solid 0.7\nset boxwidth 0.7\nset xtics rotate by -35 scale 0\n"
		"set border 3\nset ytics nomirror\nset yrange [0:*]\nset offsets 0.5,0.5,graph 0.1,0\nset grid ytics\n",
		path, KINDS, WAYS);
	for (int k = 0; k < KINDS; k++)
		plot(gnuplot, &kinds[k], "seconds", time_s);
	for (int k = 0; k < KINDS; k++)
		plot(gnuplot, &kinds[k], "peak MiB", memory_mib);
	fprintf(gnuplot, "unset multiplot\nset output\n");
}

int picture_draw(const char *path, const struct kind *kinds)
{
	FILE *gnuplot;
	int status;

	if (system("gnuplot --version >/dev/null 2>&1") != 0)
		return -ENOENT;
	gnuplot = popen("gnuplot", "we");
	if (!gnuplot)
		return -errno;
	draw(gnuplot, path, kinds);
	status = pclose(gnuplot);
	if (status < 0)
		return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}
