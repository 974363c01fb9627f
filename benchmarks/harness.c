/* SPDX-License-Identifier: MIT */
/* See harness.h. First the parameters, then the rounds of all contenders, then the command line. */
#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "contender.h"
#include "figures.h"

enum { DEFAULT_ROUNDS = 7, QUICK_ROUNDS = 3, MAX_ROUNDS = 1000, DEFAULT_TIMEOUT_S = 300 };

static struct bench_param common_params[] = {
	{ "workers", 2, 2, "worker threads of the runtime; 0: none, the calling thread runs the tasks" },
	{ "warmup-ms", 200, 20, "time to warm up in each round" },
	{ "round-ms", 500, 50, "time to measure in each round" },
	{ NULL, 0, 0, NULL },
};
static struct bench_param plain_params[] = {
	{ "plain", 0, 0, "1: plain threads in place of tasks, without a runtime" },
	{ NULL, 0, 0, NULL },
};
static struct bench_param no_params[] = { { NULL, 0, 0, NULL } };

/* The parameters in force, set once by bench_main. */
enum { PARAM_LISTS = 3 };
static struct bench_param *param_lists[PARAM_LISTS] = { no_params, common_params, no_params };

static struct bench_param *find_param(const char *name)
{
	for (int i = 0; i < PARAM_LISTS; i++)
		for (struct bench_param *p = param_lists[i]; p->name; p++)
			if (strcmp(p->name, name) == 0)
				return p;
	return NULL;
}

uint64_t bench_param(const char *name)
{
	struct bench_param *p = find_param(name);

	if (!p) {
		fprintf(stderr, "bench_param: no parameter is called %s\n", name);
		abort();
	}
	return p->value;
}

bool bench_plain(void)
{
	return plain_params[0].value != 0;
}

static char *no_arguments[] = { NULL };
static char **arguments = no_arguments;

char *const *bench_arguments(void)
{
	return arguments;
}

void bench_report(const char *name, double value, const char *unit)
{
	printf("%s %.9g %s\n", name, value, unit);
}

void bench_note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("# ");
	vprintf(format, args);
	printf("\n");
	va_end(args);
}

/* ---- the rounds ---- */

struct session {
	struct figures figures;
	struct contender contenders[FIGURES_CONTENDERS];
	char *peers[FIGURES_CONTENDERS];
	unsigned peer_count, timeout_s;
	unsigned budget_s; /* 0: as long as it takes */
	bool single, json, quick, help;
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* One round of each. Who begins changes from round to round, and so does the direction: else each would always come behind
 * the same one, with what that has left to the kernel to do. */
static int run_round(struct session *s, unsigned round)
{
	unsigned count = s->figures.contender_count;

	for (unsigned i = 0; i < count; i++) {
		unsigned index = (round + (round % 2 ? count - i : i)) % count;
		struct contender *c = &s->contenders[index];
		int rc = c->out ? 0 : contender_round(c, &s->figures, index, s->timeout_s);

		if (rc < 0)
			return rc;
	}
	return 0;
}

/* All rounds, interleaved; those that would not end within the budget are left out, save the first. */
static int run_rounds(struct session *s)
{
	uint64_t start = now_ms();

	for (unsigned round = 0; round < s->figures.rounds; round++) {
		uint64_t elapsed = now_ms() - start;
		int rc;

		if (s->budget_s && round > 0 && elapsed + elapsed / round > (uint64_t)s->budget_s * 1000)
			break;
		rc = run_round(s, round);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* ---- the command line ---- */

static void usage(const struct bench *bench, const char *program)
{
	printf("%s: %s\n\nusage: %s [option]...\n", bench->name, bench->about, program);
	printf("  --rounds N             rounds of each contender (default %u, quick %d)\n",
	       bench->rounds ? bench->rounds : DEFAULT_ROUNDS, QUICK_ROUNDS);
	printf("  --quick                small parameters and few rounds: does it run?\n");
	printf("  --json                 a JSON line per result in place of the table\n");
	printf("  --peer NAME=COMMAND    a program to compare with, run between the rounds; may be repeated\n");
	printf("  --timeout N            seconds that a round may take (default %d)\n", DEFAULT_TIMEOUT_S);
	printf("  --budget N             no round is begun that would end after so many seconds, save the first\n");
	printf("  --round                one round in this process, results as lines\n");
	printf("  -- ARGUMENT...         for the workload, if it wants any\n");
	for (int i = 0; i < PARAM_LISTS; i++)
		for (const struct bench_param *p = param_lists[i]; p->name; p++)
			printf("  --%-20s %s (default %" PRIu64 ", quick %" PRIu64 ")\n", p->name, p->help, p->value,
			       p->quick);
}

/* A whole decimal number. */
static bool parse_number(const char *text, uint64_t *ret)
{
	char *end;
	unsigned long long value;

	if (!text || *text < '0' || *text > '9')
		return false;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || *end != '\0')
		return false;
	*ret = value;
	return true;
}

static bool parse_flag(struct session *s, const char *name)
{
	const struct {
		const char *name;
		bool *flag;
	} flags[] = { { "round", &s->single }, { "quick", &s->quick }, { "json", &s->json }, { "help", &s->help } };

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (strcmp(flags[i].name, name) == 0) {
			*flags[i].flag = true;
			return true;
		}
	}
	return false;
}

static bool parse_option(struct session *s, const char *name, char *text)
{
	struct bench_param *p = find_param(name);
	uint64_t value;

	if (strcmp(name, "peer") == 0) {
		if (!text || !strchr(text, '=') || s->peer_count + 1 == FIGURES_CONTENDERS)
			return false;
		s->peers[s->peer_count++] = text;
		return true;
	}
	if (!parse_number(text, &value))
		return false;
	if (p)
		p->value = value;
	else if (strcmp(name, "rounds") == 0 && value > 0 && value <= MAX_ROUNDS)
		s->figures.rounds = (unsigned)value;
	else if (strcmp(name, "timeout") == 0 && value > 0 && value <= 86400)
		s->timeout_s = (unsigned)value;
	else if (strcmp(name, "budget") == 0 && value > 0 && value <= 86400)
		s->budget_s = (unsigned)value;
	else
		return false;
	return true;
}

static void use_quick_values(struct session *s)
{
	s->figures.rounds = QUICK_ROUNDS;
	for (int i = 0; i < PARAM_LISTS; i++)
		for (struct bench_param *p = param_lists[i]; p->name; p++)
			p->value = p->quick;
}

/* --quick first, wherever it stands, so that other options overrule what it sets. The workload's name may stand in front, so
 * that a benchmark can be its own peer, with other parameters. */
static bool parse(struct session *s, int argc, char **argv)
{
	int first = argc > 1 && strcmp(argv[1], s->figures.bench->name) == 0 ? 2 : 1;

	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--quick") == 0)
			use_quick_values(s);
	for (int i = first; i < argc; i++) {
		bool option = strncmp(argv[i], "--", 2) == 0;

		if (strcmp(argv[i], "--") == 0) {
			arguments = &argv[i + 1];
			break;
		}
		if (option && parse_flag(s, argv[i] + 2))
			continue;
		if (!option || !parse_option(s, argv[i] + 2, argv[i + 1])) {
			fprintf(stderr, "%s: %s: unknown, or its value makes no sense; --help tells\n", argv[0],
				argv[i]);
			return false;
		}
		i++;
	}
	return true;
}

/* Appends --NAME VALUE for every parameter. The strings live as long as the process. */
static int add_params(struct contender *c, unsigned *n)
{
	for (int i = 0; i < PARAM_LISTS; i++) {
		for (struct bench_param *p = param_lists[i]; p->name; p++) {
			if (*n + 3 > CONTENDER_ARGS)
				return -E2BIG;
			if (asprintf(&c->argv[*n], "--%s", p->name) < 0 ||
			    asprintf(&c->argv[*n + 1], "%" PRIu64, p->value) < 0)
				return -ENOMEM;
			*n += 2;
		}
	}
	return 0;
}

static int add_word(struct contender *c, unsigned *n, char *word)
{
	if (*n + 1 == CONTENDER_ARGS)
		return -E2BIG;
	c->argv[(*n)++] = word;
	return 0;
}

/* Program, workload (for a peer), --round, the parameters, and what else stood in a peer's command, or behind "--". */
static int add_contender(struct session *s, const char *name, char *command, const char *workload)
{
	struct figures *f = &s->figures;
	struct contender *c = &s->contenders[f->contender_count];
	static char separator[] = "--";
	char *state = NULL, *word = workload ? strtok_r(command, " ", &state) : command;
	unsigned n = 0;
	int rc;

	f->names[f->contender_count++] = name;
	if (!word)
		return -EINVAL;
	c->argv[n++] = word;
	if (workload)
		c->argv[n++] = (char *)workload; /* exec does not write to it */
	c->argv[n++] = "--round";
	rc = add_params(c, &n);
	while (rc == 0 && workload && (word = strtok_r(NULL, " ", &state)))
		rc = add_word(c, &n, word);
	if (rc == 0 && !workload && *arguments)
		rc = add_word(c, &n, separator);
	for (char **argument = arguments; rc == 0 && !workload && *argument; argument++)
		rc = add_word(c, &n, *argument);
	return rc;
}

static int add_contenders(struct session *s)
{
	static char own_path[] = "/proc/self/exe";
	int rc = add_contender(s, "rota", own_path, NULL);

	for (unsigned i = 0; i < s->peer_count && rc == 0; i++) {
		char *command = strchr(s->peers[i], '=');

		*command++ = '\0';
		rc = add_contender(s, s->peers[i], command, s->figures.bench->name);
	}
	return rc;
}

static int run_session(struct session *s)
{
	struct figures *f = &s->figures;
	bool failed = false;
	int rc = add_contenders(s);

	if (rc == 0)
		rc = run_rounds(s);
	if (rc < 0) {
		fprintf(stderr, "%s: no figures: %s\n", f->bench->name, strerror(-rc));
		return 1;
	}
	figures_sort(f);
	if (s->json)
		figures_print_json(f);
	else
		figures_print_table(f);
	for (unsigned i = 0; i < f->contender_count; i++)
		failed = failed || s->contenders[i].failed;
	if (!failed && f->series_count == 0)
		return BENCH_EXIT_SKIPPED;
	return failed || fflush(stdout) != 0 ? 1 : 0;
}

static int run_single(const struct bench *bench)
{
	int rc = bench->round();

	if (rc < 0)
		fprintf(stderr, "%s: %s\n", bench->name, strerror(-rc));
	if (rc == BENCH_ROUND_SKIPPED)
		return BENCH_EXIT_SKIPPED;
	return rc < 0 || fflush(stdout) != 0 ? 1 : 0;
}

int bench_main(const struct bench *bench, int argc, char **argv)
{
	static struct session session;

	if (bench->params)
		param_lists[0] = bench->params;
	if (bench->plain)
		param_lists[2] = plain_params;
	if (bench->round_ms)
		find_param("round-ms")->value = bench->round_ms;
	session.figures.bench = bench;
	session.figures.rounds = bench->rounds ? bench->rounds : DEFAULT_ROUNDS;
	session.timeout_s = DEFAULT_TIMEOUT_S;
	if (!parse(&session, argc, argv))
		return 2;
	if (session.help) {
		usage(bench, argv[0]);
		return 0;
	}
	return session.single ? run_single(bench) : run_session(&session);
}
