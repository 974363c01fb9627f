/* SPDX-License-Identifier: MIT */
/* What the parts of the model checker share: threads, what they know, and the steps of the search. */
#ifndef TESTS_MODEL_EXPLORE_H
#define TESTS_MODEL_EXPLORE_H

#include "model.h"

#define ALL_THREADS (MODEL_THREADS + 1) /* number 0 sets up and finishes */
#define LOCATIONS 128
#define STORES 100 /* to one location in one execution */

/* What a thread knows, or what a store hands over to who acquires it. */
struct knowledge {
	uint8_t seen[LOCATIONS];     /* of each location: the oldest store that may still be read */
	uint16_t clock[ALL_THREADS]; /* what happens before: steps of each thread */
};

enum thread_status { THREAD_READY, THREAD_FUTEX, THREAD_SPINNING, THREAD_DONE };

struct location;

struct thread {
	enum thread_status status;
	const void *futex;     /* it sleeps on */
	unsigned futex_order;  /* first come, first woken */
	struct location *last; /* it loaded or changed last */
	unsigned last_store;   /* which store it found, or made, there */
	uint64_t history;      /* hash of all it did and read: hence of its local state */
	struct knowledge now;
	struct knowledge acquired; /* by relaxed loads: an acquire fence makes it known */
	struct knowledge released; /* at the last release fence: what relaxed stores hand over */
};

extern struct thread model__threads[ALL_THREADS];
extern unsigned model__self;

/* --- explore.c: a step of the running thread begins: others may come first. The word that it touches; NULL: more than
 * one word */
void model__step(const volatile void *address, bool write);
/* One of n ways, each of which is searched. */
unsigned model__choose(unsigned n);
bool model__spurious(void);
/* The thread cannot go on (its status says why) until model__ready. */
void model__block(void);
/* Each thread has one of these, which nobody else touches. */
bool model__is_local(const void *address);
/* For the report: what the present step did. `place` is where in the program. */
void model__trace(const void *place, const char *what, const void *address, uint64_t value, int order, unsigned behind);
_Noreturn void model__fail(const char *what);
/* The execution is beyond a bound: leaves it, and says so in the end. */
_Noreturn void model__bound(void);
uint64_t model__mix(uint64_t hash, uint64_t word);

/* --- memory.c */
void model__memory_reset(void);
uint64_t model__memory_hash(void);                /* of what the threads' histories do not tell */
bool model__changed(const struct thread *thread); /* a spinning thread would find something new */
void model__spun(void);                           /* and it will */
void model__learn(struct knowledge *to, const struct knowledge *from);
uint64_t model__latest(const void *address, unsigned size); /* read by the kernel for the running thread */

/* --- shadow.c */
void model__shadow_begin(void); /* of an execution */
void model__shadow_reset(void); /* after its setup */
/* Where the location of an atomic word is kept. */
struct location **model__shadow_location(const void *address);
/* Against data races of an atomic access with plain ones. */
void model__shadow_atomic(const void *address, unsigned size, bool write);
/* By memory.c: when each thread last touched the word. */
struct touched {
	unsigned size; /* of the word */
	uint16_t read[ALL_THREADS], written[ALL_THREADS];
};
struct touched *model__touched(struct location *location);
/* Plain stores have changed the word: what was there before is gone. */
void model__renew(struct location *location);

#endif
