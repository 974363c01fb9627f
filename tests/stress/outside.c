/* SPDX-License-Identifier: MIT */
/*
 * What threads outside of every runtime deliver: answers to names, and signals. Tasks ask and wait, and are cancelled at
 * random moments; streams open and close under a hail of signals; runtimes end with all of it under way. Each result is
 * one that can be, the answer is right, and a signal that was not taken is still there.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <signal.h>

#include "stress.h"

#include "runtime_report.h"

#define TASKS 24u
#define TURNS STRESS_FEWER(240u)

static rota_runtime *runtime_now;
static struct rota_atomic_u32 answered, asked, taken, cancelled, stop_hail;

static void report(void)
{
	if (runtime_now != NULL)
		runtime_report(runtime_now);
}

/* --- the resolver: "nN" is 127.0.0.N, after a while --------------------------------------------------------------- */

struct answer {
	struct addrinfo info;
	struct sockaddr_in address;
};

int getaddrinfo(const char *restrict host, const char *restrict port, const struct addrinfo *restrict hints,
		struct addrinfo **restrict ret)
{
	struct answer *answer;

	(void)port;
	if (hints->ai_flags & AI_NUMERICHOST)
		return EAI_NONAME;
	rota__fetch_add(&asked, 1, RELAXED);
	usleep((unsigned)(host[1] - '0') * 20);
	answer = calloc(1, sizeof(*answer));
	if (answer == NULL)
		return EAI_MEMORY;
	answer->address.sin_family = AF_INET;
	answer->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + (uint32_t)(host[1] - '0'));
	answer->info.ai_addr = (struct sockaddr *)&answer->address;
	answer->info.ai_addrlen = sizeof(answer->address);
	*ret = &answer->info;
	return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
	free(list);
}

/* --- tasks ---------------------------------------------------------------------------------------------------------- */

struct customer {
	struct stress_random random;
	struct rota_signal *stream; /* shared by some */
	rota_task *task;
};

static void ask(struct customer *customer)
{
	const char name[] = { 'n', (char)('1' + stress_below(&customer->random, 8)), '\0' };
	struct rota_address found[2];
	char port[8];
	int rc, number = (int)stress_below(&customer->random, 60000);

	snprintf(port, sizeof(port), "%d", number);
	rc = rota_resolve(name, port, 0, found, 2);
	expect(rc == 1 || rc == -ECANCELED, ==, true);
	if (rc == 1) {
		expect(ntohl(found[0].addr.in.sin_addr.s_addr) & 0xff, ==, name[1] - '0');
		expect(ntohs(found[0].addr.in.sin_port), ==, number);
	}
	rota__fetch_add(rc == 1 ? &answered : &cancelled, 1, RELAXED);
	stress_moved();
}

static void take_signal(struct rota_signal *stream)
{
	int rc = rota_signal_wait(stream);

	expect(rc == 0 || rc == -ECANCELED, ==, true);
	rota__fetch_add(rc == 0 ? &taken : &cancelled, 1, RELAXED);
	stress_moved();
}

static void take_own(struct customer *customer)
{
	static const int signals[] = { SIGUSR1, SIGUSR2, SIGWINCH };
	struct rota_signal stream;

	expect(rota_signal_open(&stream, signals[stress_below(&customer->random, 3)]), ==, 0);
	for (uint32_t n = stress_below(&customer->random, 3); n > 0; n--)
		take_signal(&stream);
	rota_signal_close(&stream);
}

static int visit(void *arg)
{
	struct customer *customer = arg;

	for (unsigned i = 0; i < TURNS && !rota_cancelled(); i++) {
		switch (stress_below(&customer->random, 3)) {
		case 0:
			ask(customer);
			break;
		case 1:
			take_signal(customer->stream);
			break;
		default:
			take_own(customer);
		}
	}
	return 0;
}

static int open_doors(void *arg)
{
	struct stress_random *random = arg;
	struct customer customers[TASKS];
	struct rota_signal stream;

	expect(rota_signal_open(&stream, SIGUSR1), ==, 0);
	for (unsigned i = 0; i < TASKS; i++) {
		customers[i] = (struct customer){ .random = stress_random_new(stress_next(random)), .stream = &stream };
		expect(rota_spawn(&customers[i].task, visit, &customers[i]), ==, 0);
	}
	for (unsigned i = 0; i < TASKS; i++) {
		rota_sleep(ROTA_US(stress_below(random, 4000)));
		rota_cancel(customers[i].task);
	}
	for (unsigned i = 0; i < TASKS; i++)
		expect(rota_join(customers[i].task, NULL), ==, 0);
	rota_signal_close(&stream);
	return 0;
}

/* --- signals --------------------------------------------------------------------------------------------------------- */

/* They do nothing to who has no stream for them. */
static void nothing(int signo)
{
	(void)signo;
}

static void *hail(void *arg)
{
	struct stress_random *random = arg;

	while (rota__load(&stop_hail, RELAXED) == 0) {
		static const int signals[] = { SIGUSR1, SIGUSR2, SIGWINCH };

		kill(getpid(), signals[stress_below(random, 3)]);
		if (stress_one_in(random, 4))
			usleep(stress_below(random, 200));
	}
	return NULL;
}

static void round_of(struct stress_random *random, enum rota_flavor flavor)
{
	const struct rota_config config = { .workers = 1 + stress_below(random, 3), .flavor = flavor };
	rota_runtime *rt;

	expect(rota_runtime_new(&rt, &config), ==, 0);
	runtime_now = rt;
	expect(rota_block_on(rt, open_doors, random), ==, 0);
	expect(rota_runtime_shutdown(rt, ROTA_NEVER), ==, 0);
	runtime_now = NULL;
	rota_runtime_free(rt);
}

int main(int argc, char **argv)
{
	const struct sigaction action = { .sa_handler = nothing, .sa_flags = SA_RESTART };
	struct stress_random random, weather;
	struct stress_threads threads = { .n = 0 };
	sigset_t set;

	unsetenv("ROTA_FLAVOR");
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGUSR2, &action, NULL);
	/* Only this thread is hit. */
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGWINCH);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	stress_start(argc, argv, report);
	random = stress_random_new(0);
	weather = stress_random_new(1);
	stress_thread(&threads, hail, &weather);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	for (unsigned i = 0; i < 15 * stress_scale; i++)
		round_of(&random, i % 3 == 2 ? ROTA_FLAVOR_CURRENT_THREAD : ROTA_FLAVOR_MULTI_THREAD);
	rota__store(&stop_hail, 1, RELAXED); /* nothing else goes with it */
	stress_join(&threads);
	printf("%u answers of %u questions, %u signals taken, %u cancelled\n", rota__load(&answered, RELAXED),
	       rota__load(&asked, RELAXED), rota__load(&taken, RELAXED), rota__load(&cancelled, RELAXED));
	return 0;
}
