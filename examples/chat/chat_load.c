/* SPDX-License-Identifier: MIT */
/*
 * Loads the chat's server, which runs as a process of its own, twice: with clients that read, and with dead ones beside
 * them, that join and do not read. Prints how long deliveries to the living took, from when a post was due, and the
 * server's memory.
 *
 *   chat_load [--clients N] [--dead N] [--groups N] [--rate N] [--bytes N] [--warm-up SECONDS] [--seconds SECONDS]
 *             [--server PATH]
 *
 * `rate`: posts per second into each group, by one of its members. Each dead client is in up to 16 groups, so that
 * every group has one if there are enough. In the end the living leave, each of whom must have got, or must have been
 * told that it missed, exactly what was posted, or the exit code is not 0. The dead ones never read; their connections
 * are closed on them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "load.h"

enum { CONNECTING = 64, SPARE_FDS = 64, MAX_CLIENTS = 100000 };

struct options {
	unsigned clients, dead, groups, rate, bytes, warm_up, seconds;
	const char *server;
};

/* One of the two runs. */
struct run {
	const struct options *options;
	unsigned dead;
	struct load_server server;
	struct load_client *clients; /* the dead ones last */
	struct load_samples samples;
	struct load_memory start, joined, end;
	uint64_t begin;                 /* of the posts */
	struct rota_wait_group posters; /* those that have not left yet */
};

static unsigned posts(const struct options *o)
{
	return o->rate * (o->warm_up + o->seconds);
}

static unsigned living(const struct run *run)
{
	return run->options->clients - run->options->dead;
}

static unsigned present(const struct run *run)
{
	return living(run) + run->dead;
}

/* --- tasks -------------------------------------------------------------------------------------------------------- */

struct job {
	struct run *run;
	unsigned number; /* of a client, or of a group */
};

static int connect_one(void *arg)
{
	const struct job *job = arg;

	return load_client_connect(&job->run->clients[job->number], job->run->server.port,
				   job->number >= living(job->run));
}

static int read_one(void *arg)
{
	const struct job *job = arg;
	struct run *run = job->run;
	int rc = load_client_read(&run->clients[job->number], &run->samples,
				  run->begin + ROTA_SECONDS(run->options->warm_up));

	if (job->number < run->options->groups)
		rota_wait_group_done(&run->posters);
	return rc;
}

/* At its times, whatever happens: what comes late because the server is behind counts as late. Client number n is a member of
 * group n; groups take turns. It leaves when it has posted all. */
static int post_one(void *arg)
{
	const struct job *job = arg;
	const struct options *o = job->run->options;
	uint64_t period = ROTA_SECONDS(1) / o->rate, due = job->run->begin + period * job->number / o->groups;
	int rc = 0;

	for (unsigned i = 0; i < posts(o) && rc == 0; i++, due += period) {
		rc = rota_sleep_until(due);
		if (rc == 0)
			rc = load_client_post(&job->run->clients[job->number], job->number, due, o->bytes);
	}
	return rc < 0 ? rc : load_client_leave(&job->run->clients[job->number]);
}

/* A task for each of n numbers; waits for all. */
static int for_each(struct run *run, unsigned n, unsigned limit, rota_fn *fn)
{
	const struct rota_scope_attr attr = { .limit = limit };
	struct job *jobs = calloc(n, sizeof(*jobs));
	struct rota_scope scope;
	int closed, rc = jobs != NULL ? rota_scope_open_with(&scope, &attr) : -ENOMEM;

	if (rc == 0) {
		for (unsigned i = 0; i < n && rc == 0; i++) {
			jobs[i] = (struct job){ run, i };
			rc = rota_scope_spawn(&scope, NULL, fn, &jobs[i]);
		}
		closed = rota_scope_close(&scope);
		rc = closed < 0 ? closed : rc;
	}
	free(jobs);
	return rc;
}

/* --- a run -------------------------------------------------------------------------------------------------------- */

/* Who is in which groups: the living in one each, the dead ones in as many as it takes to be everywhere. */
static void assign(struct run *run)
{
	const struct options *o = run->options;

	for (unsigned i = 0; i < living(run); i++) {
		run->clients[i].groups[0] = i % o->groups;
		run->clients[i].group_count = 1;
	}
	for (unsigned i = 0; i < run->dead; i++) {
		struct load_client *c = &run->clients[living(run) + i];

		for (unsigned group = i % o->groups; group < o->groups && c->group_count < LOAD_GROUPS;
		     group += run->dead)
			c->groups[c->group_count++] = group;
	}
}

static int post_all(void *arg)
{
	struct run *run = arg;
	int rc = for_each(run, run->options->groups, 0, post_one);

	if (rc == 0)
		rc = load_server_memory(&run->server, &run->end);
	if (rc == 0)
		rc = rota_wait_group_wait(&run->posters); /* their answers say that the server has read all posts */
	for (unsigned i = run->options->groups; i < living(run) && rc == 0; i++)
		rc = load_client_leave(&run->clients[i]);
	return rc;
}

/* The living read while posts are made. */
static int converse(struct run *run)
{
	struct rota_scope scope;
	int closed, rc = rota_scope_open(&scope, 0);

	if (rc < 0)
		return rc;
	rota_wait_group_init(&run->posters);
	rota_wait_group_add(&run->posters, run->options->groups);
	rc = rota_scope_spawn(&scope, NULL, post_all, run);
	if (rc == 0)
		rc = for_each(run, living(run), 0, read_one);
	if (rc < 0)
		rota_scope_cancel(&scope);
	closed = rota_scope_close(&scope);
	return closed < 0 && closed != -ECANCELED ? closed : rc;
}

static int check(const struct run *run)
{
	uint64_t missed = 0;

	for (unsigned i = 0; i < living(run); i++) {
		const struct load_client *c = &run->clients[i];
		uint64_t posted = (uint64_t)posts(run->options) * c->group_count;

		if (c->received + c->missed != posted) {
			printf("client %u: %" PRIu64 " received and %" PRIu64 " missed of %" PRIu64 "\n", i,
			       c->received, c->missed, posted);
			return -EPROTO;
		}
		missed += c->missed;
	}
	printf("  all accounted for; the living were told of %" PRIu64 " missed\n", missed);
	return 0;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static double milliseconds(const struct load_samples *samples, double part)
{
	return (double)samples->ns[(size_t)((double)(samples->count - 1) * part)] / 1e6;
}

static void report(struct run *run)
{
	struct load_samples *samples = &run->samples;

	qsort(samples->ns, samples->count, sizeof(*samples->ns), compare);
	printf("%u living and %u dead clients, %u groups: %zu deliveries in %u s\n", living(run), run->dead,
	       run->options->groups, (size_t)samples->count, run->options->seconds);
	printf("  delivery p50 %.2f ms, p99 %.2f ms, max %.2f ms\n", milliseconds(samples, 0.5),
	       milliseconds(samples, 0.99), milliseconds(samples, 1));
	printf("  server's memory %ld KiB at start, %ld KiB with all clients, %ld KiB after all posts, peak %ld KiB\n",
	       run->start.now_kib, run->joined.now_kib, run->end.now_kib, run->end.peak_kib);
}

static int with_server(struct run *run)
{
	unsigned connected = 0;
	int rc = load_server_memory(&run->server, &run->start);

	if (rc == 0)
		rc = for_each(run, present(run), CONNECTING, connect_one);
	if (rc < 0)
		return rc; /* the process ends, and with it what is connected */
	connected = present(run);
	rc = load_server_memory(&run->server, &run->joined);
	run->begin = rota_now() + ROTA_MS(100);
	if (rc == 0)
		rc = converse(run);
	for (unsigned i = 0; i < connected; i++)
		load_client_close(&run->clients[i]);
	return rc;
}

/* *ret_p99 in milliseconds. */
static int measure(const struct options *o, unsigned dead, double *ret_p99)
{
	struct run run = { .options = o, .dead = dead };
	int stopped, rc = -ENOMEM;

	run.samples.size = (size_t)posts(o) * living(&run);
	run.samples.ns = calloc(run.samples.size, sizeof(*run.samples.ns));
	run.clients = calloc(o->clients, sizeof(*run.clients));
	if (run.samples.ns != NULL && run.clients != NULL)
		rc = load_server_start(&run.server, o->server, present(&run));
	if (rc == 0) {
		assign(&run);
		rc = with_server(&run);
		stopped = load_server_stop(&run.server);
		rc = rc < 0 ? rc : stopped;
	}
	if (rc == 0 && run.samples.count > 0) {
		report(&run);
		*ret_p99 = milliseconds(&run.samples, 0.99);
		rc = check(&run);
	}
	free(run.clients);
	free(run.samples.ns);
	return rc;
}

/* --- the program -------------------------------------------------------------------------------------------------- */

static int allow_descriptors(unsigned clients)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	limit.rlim_cur = limit.rlim_max;
	if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < clients + SPARE_FDS) {
		fprintf(stderr, "the hard limit is %" PRIu64 " descriptors\n", (uint64_t)limit.rlim_max);
		return -EMFILE;
	}
	return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}

static bool parse(struct options *o, int argc, char **argv)
{
	const struct {
		const char *name;
		unsigned *value;
	} numbers[] = {
		{ "--clients", &o->clients }, { "--dead", &o->dead },   { "--groups", &o->groups },
		{ "--rate", &o->rate },       { "--bytes", &o->bytes }, { "--warm-up", &o->warm_up },
		{ "--seconds", &o->seconds },
	};
	const size_t count = sizeof(numbers) / sizeof(numbers[0]);

	for (int i = 1; i < argc; i += 2) {
		size_t n = 0;
		char *end;

		if (i + 1 == argc)
			return false;
		if (strcmp(argv[i], "--server") == 0) {
			o->server = argv[i + 1];
			continue;
		}
		while (n < count && strcmp(argv[i], numbers[n].name) != 0)
			n++;
		if (n == count)
			return false;
		*numbers[n].value = (unsigned)strtoul(argv[i + 1], &end, 10);
		if (*end != '\0')
			return false;
	}
	return o->clients <= MAX_CLIENTS && o->dead < o->clients && o->groups > 0 &&
	       o->groups <= o->clients - o->dead && o->rate > 0 && o->rate <= 10000 && o->warm_up <= 600 &&
	       o->seconds > 0 && o->seconds <= 600;
}

static int async_main(int argc, char **argv)
{
	struct options o = { 200, 4, 10, 40, 500, 5, 5, "./chat_server" };
	double without = 0, with = 0;
	int rc;

	if (!parse(&o, argc, argv)) {
		fprintf(stderr,
			"usage: %s [--clients N] [--dead N] [--groups N] [--rate N] [--bytes N] [--warm-up SECONDS]\n"
			"       [--seconds SECONDS] [--server PATH]\n",
			argv[0]);
		return 2;
	}
	rc = allow_descriptors(o.clients);
	if (rc == 0)
		rc = measure(&o, 0, &without);
	if (rc == 0 && o.dead > 0)
		rc = measure(&o, o.dead, &with);
	if (rc == 0 && o.dead > 0)
		printf("p99 with dead ones: %.2f times the p99 without\n", with / without);
	if (rc >= 0 && fflush(stdout) != 0)
		rc = -errno;
	if (rc < 0)
		fprintf(stderr, "chat_load: %s\n", strerror(-rc));
	return rc < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	return rota_run(async_main, argc, argv);
}
