/* SPDX-License-Identifier: MIT */
/* See crowd.h. */
#include "crowd.h"

#include <errno.h>
#include <pthread.h>

#include "harness.h"
#include "measure.h"

static int run_tasks(size_t members, rota_fn *fn, rota_fn *meanwhile, void *arg)
{
	rota_task *handles[CROWD_MAX];
	size_t spawned = 0;
	int rc = 0;

	while (spawned < members && rc == 0) {
		rc = rota_spawn(&handles[spawned], fn, arg);
		spawned += rc == 0;
	}
	if (rc == 0 && meanwhile)
		rc = meanwhile(arg);
	for (size_t i = 0; i < spawned; i++) {
		int status = 0, joined;

		if (rc < 0)
			rota_cancel(handles[i]);
		joined = rota_join(handles[i], &status);
		joined = joined < 0 ? joined : status;
		rc = rc < 0 ? rc : joined;
	}
	return rc;
}

struct member {
	pthread_t thread;
	rota_fn *fn;
	void *arg;
	int status;
};

static void *member_main(void *arg)
{
	struct member *member = arg;

	member->status = member->fn(member->arg);
	return NULL;
}

static int run_threads(size_t members, rota_fn *fn, rota_fn *meanwhile, void *arg)
{
	struct member crowd[CROWD_MAX];
	size_t begun = 0;
	int rc = 0;

	while (begun < members && rc == 0) {
		crowd[begun] = (struct member){ .fn = fn, .arg = arg };
		rc = -pthread_create(&crowd[begun].thread, NULL, member_main, &crowd[begun]);
		begun += rc == 0;
	}
	if (rc == 0 && meanwhile)
		rc = meanwhile(arg);
	for (size_t i = 0; i < begun; i++) {
		int joined = -pthread_join(crowd[i].thread, NULL);

		joined = joined < 0 ? joined : crowd[i].status;
		rc = rc < 0 ? rc : joined;
	}
	return rc;
}

int crowd_run(size_t members, rota_fn *fn, rota_fn *meanwhile, void *arg)
{
	if (members > CROWD_MAX)
		return -EINVAL;
	return bench_plain() ? run_threads(members, fn, meanwhile, arg) : run_tasks(members, fn, meanwhile, arg);
}

/* --- asking ---------------------------------------------------------------------------------------------------------------- */

enum { ASKED = 10 }; /* values a step */

void crowd_answer(struct crowd_asking *asking)
{
	if (atomic_fetch_sub(&asking->left, 1) == 1)
		rota_notify_one(&asking->heard);
}

static int ask_step(void *arg)
{
	struct crowd_asking *asking = arg;
	int rc = 0;

	for (uint64_t i = 0; i < ASKED && rc == 0; i++) {
		atomic_fetch_add(&asking->left, asking->members);
		rc = asking->send(asking->arg, i);
		while (rc == 0 && atomic_load(&asking->left) > 0)
			rc = rota_notify_wait(&asking->heard);
	}
	return rc;
}

static int measure_asking(void *arg)
{
	struct crowd_asking *asking = arg;
	int rc = bench_time_each(asking->name, ask_step, asking, ASKED * asking->members);

	asking->close(asking->arg);
	return rc;
}

int crowd_ask(struct crowd_asking *asking)
{
	atomic_init(&asking->left, 0);
	rota_notify_init(&asking->heard);
	return crowd_run(asking->members, asking->hear, measure_asking, asking);
}
