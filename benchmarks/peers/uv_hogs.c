/* SPDX-License-Identifier: MIT */
/*
 * The workload hogs on libuv: `uv-peer hogs [--NAME VALUE]...` runs one round and prints lines of `name value unit`. The
 * ticker and the echo are on one loop, the hogs' steps are jobs of the thread pool, which has as many threads as there
 * are hogs. Exit code 77: no such workload here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { PIECE = 1000, BYTES = 64, HOGS_MAX = 64, SAMPLES_MAX = 4 << 20 };

static struct {
	const char *name;
	uint64_t value;
} params[] = {
	{ "hogs", 2 },     { "ticker-step-ms", 100 }, { "echo-step-ms", 7 }, { "ticks", 3000 },
	{ "clients", 50 }, { "warmup-ms", 200 },      { "round-ms", 2000 },  { "workers", 2 },
};

static uint64_t param(const char *name)
{
	for (size_t i = 0; i < sizeof(params) / sizeof(params[0]); i++) {
		if (strcmp(params[i].name, name) == 0)
			return params[i].value;
	}
	return 0;
}

static void check(int rc, const char *what)
{
	if (rc < 0) {
		fprintf(stderr, "uv-peer: %s: %s\n", what, uv_strerror(rc));
		exit(1);
	}
}

/* --- samples ------------------------------------------------------------------------------------------------------ */

static uint64_t *samples;
static size_t sample_count;

static void add_sample(uint64_t ns)
{
	if (sample_count < SAMPLES_MAX)
		samples[sample_count++] = ns;
}

static int compare(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* The samples are in order. */
static void report_quantile(const char *name, double share)
{
	if (sample_count > 0)
		printf("%s %g us\n", name, (double)samples[(size_t)(share * (double)(sample_count - 1))] / 1e3);
}

/* --- hogs --------------------------------------------------------------------------------------------------------- */

static volatile uint64_t sink;

static void work(uint64_t pieces)
{
	uint64_t state = pieces, sum = 0;

	for (uint64_t i = 0; i < pieces * PIECE; i++) {
		uint64_t z = state += 0x9e3779b97f4a7c15u;

		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
		z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
		sum ^= z ^ (z >> 31);
	}
	sink = sum;
}

static uint64_t pieces_per_ms(void)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 30; i++) {
		uint64_t start = uv_hrtime(), ns;

		work(200);
		ns = uv_hrtime() - start;
		best = ns < best ? ns : best;
	}
	return (uint64_t)1000000 * 200 / best;
}

static uint64_t hog_pieces, hog_steps;
static int hogs_stop;
static uv_work_t hog_jobs[HOGS_MAX];

static void hog_step(uv_work_t *job)
{
	(void)job;
	work(hog_pieces);
}

static void hog_again(uv_work_t *job, int status)
{
	(void)status;
	hog_steps++;
	if (!hogs_stop)
		check(uv_queue_work(job->loop, job, hog_step, hog_again), "queue");
}

static void let_loose(uv_loop_t *loop, uint64_t hogs, uint64_t pieces)
{
	hog_pieces = pieces;
	hog_steps = 0;
	hogs_stop = 0;
	for (uint64_t i = 0; i < hogs; i++)
		check(uv_queue_work(loop, &hog_jobs[i], hog_step, hog_again), "queue");
}

/* --- the ticker --------------------------------------------------------------------------------------------------- */

static uint64_t tick_due, ticks_left;

/* libuv's timers count whole milliseconds: the next is set for the first one that is not before its time. */
static void on_tick(uv_timer_t *timer)
{
	uint64_t now = uv_hrtime();

	if (now >= tick_due) {
		add_sample(now - tick_due);
		tick_due += (now - tick_due) / 1000000 * 1000000 + 1000000;
		if (--ticks_left == 0) {
			hogs_stop = 1;
			uv_close((uv_handle_t *)timer, NULL);
			return;
		}
	}
	uv_update_time(timer->loop);
	uv_timer_start(timer, on_tick, tick_due > now ? (tick_due - now + 999999) / 1000000 : 0, 0);
}

static void ticker(uint64_t hogs, uint64_t pieces)
{
	uv_timer_t timer;
	uv_loop_t loop;
	char name[48];

	check(uv_loop_init(&loop), "loop");
	sample_count = 0;
	ticks_left = param("ticks");
	let_loose(&loop, hogs, pieces);
	uv_timer_init(&loop, &timer);
	tick_due = uv_hrtime() + param("warmup-ms") * 1000000;
	uv_timer_start(&timer, on_tick, param("warmup-ms"), 0);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	qsort(samples, sample_count, sizeof(*samples), compare);
	snprintf(name, sizeof(name), "ticker_%llu_p50", (unsigned long long)hogs);
	report_quantile(name, 0.50);
	snprintf(name, sizeof(name), "ticker_%llu_p99", (unsigned long long)hogs);
	report_quantile(name, 0.99);
}

/* --- echo --------------------------------------------------------------------------------------------------------- */

struct end {
	uv_tcp_t tcp;
	uv_write_t write;
	uv_connect_t connect;
	char bytes[BYTES];
	size_t got;
	uint64_t before;
	int writing;
};

static uv_tcp_t listener;
static struct sockaddr_in address;
static uint64_t trips, counted_trips, counted_ns;
static int measuring, stopping;

static void give_buffer(uv_handle_t *handle, size_t size, uv_buf_t *ret)
{
	struct end *end = (struct end *)handle;

	(void)size;
	*ret = uv_buf_init(end->bytes + end->got, (unsigned)(BYTES - end->got));
}

static void on_written(uv_write_t *write, int status)
{
	(void)write;
	if (status != UV_ECANCELED)
		check(status, "write");
}

static void send_all(struct end *end)
{
	uv_buf_t buf = uv_buf_init(end->bytes, BYTES);

	check(uv_write(&end->write, (uv_stream_t *)&end->tcp, &buf, 1, on_written), "write");
}

static void free_end(uv_handle_t *handle)
{
	free(handle);
}

/* A whole message has come, or the end: false. */
static int received(struct end *end, ssize_t n)
{
	if (n < 0) {
		uv_close((uv_handle_t *)&end->tcp, free_end);
		return 0;
	}
	end->got += (size_t)n;
	if (end->got < BYTES)
		return 0;
	end->got = 0;
	return 1;
}

static void on_server_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	(void)buf;
	if (received((struct end *)stream, n))
		send_all((struct end *)stream);
}

static void on_client_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct end *end = (struct end *)stream;
	uint64_t now;

	(void)buf;
	if (!received(end, n))
		return;
	now = uv_hrtime();
	trips++;
	if (measuring)
		add_sample(now - end->before);
	end->before = now;
	if (stopping)
		uv_close((uv_handle_t *)&end->tcp, free_end);
	else
		send_all(end);
}

static struct end *new_end(uv_loop_t *loop)
{
	struct end *end = calloc(1, sizeof(*end));

	check(end != NULL ? 0 : UV_ENOMEM, "memory");
	check(uv_tcp_init(loop, &end->tcp), "tcp");
	return end;
}

static void on_connection(uv_stream_t *server, int status)
{
	struct end *end = new_end(server->loop);

	check(status, "listen");
	check(uv_accept(server, (uv_stream_t *)&end->tcp), "accept");
	uv_tcp_nodelay(&end->tcp, 1);
	uv_read_start((uv_stream_t *)&end->tcp, give_buffer, on_server_read);
}

static void on_connected(uv_connect_t *connect, int status)
{
	struct end *end = (struct end *)connect->handle;

	check(status, "connect");
	uv_tcp_nodelay(&end->tcp, 1);
	uv_read_start((uv_stream_t *)&end->tcp, give_buffer, on_client_read);
	end->before = uv_hrtime();
	send_all(end);
}

static void on_end_of_round(uv_timer_t *timer)
{
	counted_trips = trips - counted_trips;
	counted_ns = uv_hrtime() - counted_ns;
	measuring = 0;
	stopping = 1;
	hogs_stop = 1;
	uv_close((uv_handle_t *)timer, NULL);
	uv_close((uv_handle_t *)&listener, NULL);
}

static void on_warm(uv_timer_t *timer)
{
	measuring = 1;
	counted_trips = trips;
	counted_ns = uv_hrtime();
	uv_timer_start(timer, on_end_of_round, param("round-ms"), 0);
}

static void beside_echo(uint64_t hogs, uint64_t pieces)
{
	int size = sizeof(address);
	uint64_t start = uv_hrtime();
	uv_timer_t timer;
	uv_loop_t loop;

	check(uv_loop_init(&loop), "loop");
	sample_count = 0;
	let_loose(&loop, hogs, pieces);
	uv_tcp_init(&loop, &listener);
	uv_ip4_addr("127.0.0.1", 0, &address);
	check(uv_tcp_bind(&listener, (struct sockaddr *)&address, 0), "bind");
	check(uv_listen((uv_stream_t *)&listener, 1024, on_connection), "listen");
	check(uv_tcp_getsockname(&listener, (struct sockaddr *)&address, &size), "address");
	for (uint64_t i = 0; i < param("clients"); i++) {
		struct end *end = new_end(&loop);

		check(uv_tcp_connect(&end->connect, &end->tcp, (struct sockaddr *)&address, on_connected), "connect");
	}
	uv_timer_init(&loop, &timer);
	uv_timer_start(&timer, on_warm, param("warmup-ms"), 0);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	qsort(samples, sample_count, sizeof(*samples), compare);
	printf("echo %g rt/s\n", (double)counted_trips * 1e9 / (double)counted_ns);
	report_quantile("echo_p50", 0.50);
	report_quantile("echo_p99", 0.99);
	printf("echo_steps %g steps/s\n", (double)hog_steps * 1e9 / (double)(uv_hrtime() - start));
}

static void parse(int argc, char **argv)
{
	for (int i = 2; i < argc; i++) {
		if (strncmp(argv[i], "--", 2) != 0 || strcmp(argv[i], "--round") == 0 || i + 1 == argc)
			continue;
		for (size_t k = 0; k < sizeof(params) / sizeof(params[0]); k++) {
			if (strcmp(params[k].name, argv[i] + 2) == 0)
				params[k].value = strtoull(argv[i + 1], NULL, 10);
		}
		i++;
	}
}

int main(int argc, char **argv)
{
	uint64_t hogs, per_ms;
	char threads[24];

	if (argc < 2 || strcmp(argv[1], "hogs") != 0)
		return 77;
	parse(argc, argv);
	hogs = param("hogs");
	if (hogs > HOGS_MAX)
		return 2;
	snprintf(threads, sizeof(threads), "%llu", (unsigned long long)(hogs > 0 ? hogs : 1));
	setenv("UV_THREADPOOL_SIZE", threads, 1);
	per_ms = pieces_per_ms();
	printf("# libuv %s\n", uv_version_string());
	samples = malloc(SAMPLES_MAX * sizeof(*samples));
	if (samples == NULL)
		return 1;
	for (uint64_t i = 0; i <= hogs; i++)
		ticker(i, per_ms * param("ticker-step-ms"));
	beside_echo(hogs, per_ms * param("echo-step-ms"));
	free(samples);
	return 0;
}
