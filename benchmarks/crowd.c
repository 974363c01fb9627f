/* SPDX-License-Identifier: MIT */
/* See crowd.h. */
#include "crowd.h"

#include <errno.h>
#include <pthread.h>

#include "harness.h"

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

void crowd_tally_init(struct crowd_tally *tally)
{
	atomic_init(&tally->left, 0);
	rota_notify_init(&tally->done);
}

void crowd_tally_expect(struct crowd_tally *tally, size_t members)
{
	atomic_fetch_add(&tally->left, members);
}

void crowd_tally_answer(struct crowd_tally *tally)
{
	if (atomic_fetch_sub(&tally->left, 1) == 1)
		rota_notify_one(&tally->done);
}

int crowd_tally_wait(struct crowd_tally *tally)
{
	int rc = 0;

	while (atomic_load(&tally->left) > 0 && rc == 0)
		rc = rota_notify_wait(&tally->done);
	return rc;
}
