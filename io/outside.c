/* SPDX-License-Identifier: MIT */
#include "outside_internal.h"

#include <pthread.h>

#include "after_fork_internal.h"

static pthread_mutex_t delivery = PTHREAD_MUTEX_INITIALIZER;

void rota__outside_begin(void)
{
	pthread_mutex_lock(&delivery);
}

void rota__outside_end(void)
{
	pthread_mutex_unlock(&delivery);
}

void rota__outside_settle(void)
{
	pthread_mutex_lock(&delivery);
	pthread_mutex_unlock(&delivery);
}

void rota__outside_forked(void)
{
	pthread_mutex_init(&delivery, NULL);
}
