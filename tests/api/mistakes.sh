#!/bin/sh
# SPDX-License-Identifier: MIT
# Mistakes that the compiler must tell: each piece below is compiled twice, without its mistake (it must pass with all
# warnings as errors) and with it (it must fail, or warn). Environment: SOURCE, the top of the tree; CC, the compiler.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

compiles()
{
	$CC -std=gnu11 -O1 -Wall -Wextra -Werror "-I$SOURCE" "$@" -c "$work/piece.c" -o "$work/piece.o" >"$work/log" 2>&1
}

# mistake NAME: the piece comes on standard input
mistake()
{
	{
		cat <<'EOF'
#include <rota.h>
int work(void *arg);
void use(int value);
void clean(int *value);
EOF
		cat
	} >"$work/piece.c"
	if ! compiles; then
		cat "$work/log"
		echo "^ $1: does not compile without the mistake"
		failed=1
	elif compiles -DMISTAKE && ! grep -q warning "$work/log"; then
		echo "$1: the compiler does not tell"
		failed=1
	else
		echo "$1: told"
	fi
}

# async NAME: the body of an async function comes on standard input
async()
{
	{
		cat <<'EOF'
struct state { struct rota_async async; struct rota_timer timer; int kept; };
rota_poll body(struct rota_future *self, struct rota_context *cx);
rota_poll body(struct rota_future *self, struct rota_context *cx)
{
	struct state *s = (struct state *)(void *)self;

EOF
		cat
		echo "}"
	} | mistake "$1"
}

async 'a local variable across an await' <<'EOF'
	ROTA_ASYNC_BEGIN(s);
	int local = (int)rota_now();
	s->kept = local;
	ROTA_AWAIT(s, cx, &s->timer.future);
#ifdef MISTAKE
	use(local);
#else
	use(s->kept);
#endif
	ROTA_ASYNC_END(s);
EOF

# Clang learned it late.
$CC --version | grep -q clang || async 'an await in a statement expression' <<'EOF'
	ROTA_ASYNC_BEGIN(s);
#ifdef MISTAKE
	use(({ ROTA_AWAIT(s, cx, &s->timer.future); s->timer.future.status; }));
#else
	ROTA_AWAIT(s, cx, &s->timer.future);
	use(s->timer.future.status);
#endif
	ROTA_ASYNC_END(s);
EOF

async 'an await beside an array of variable length' <<'EOF'
	ROTA_ASYNC_BEGIN(s);
#ifdef MISTAKE
	char array[s->kept];
	array[0] = 1;
	use(array[0]);
#endif
	ROTA_AWAIT(s, cx, &s->timer.future);
	ROTA_ASYNC_END(s);
EOF

# gcc runs the cleanup at each wait, and says nothing.
! $CC --version | grep -q clang || async 'an await beside a cleanup attribute' <<'EOF'
	ROTA_ASYNC_BEGIN(s);
#ifdef MISTAKE
	int cleaned __attribute__((cleanup(clean), unused)) = s->kept;
#endif
	ROTA_AWAIT(s, cx, &s->timer.future);
	ROTA_ASYNC_END(s);
EOF

async 'an async function without an end' <<'EOF'
	ROTA_ASYNC_BEGIN(s);
	ROTA_AWAIT(s, cx, &s->timer.future);
#ifndef MISTAKE
	ROTA_ASYNC_END(s);
#endif
EOF

async 'something awaited that is no future' <<'EOF'
	ROTA_ASYNC_BEGIN(s);
#ifdef MISTAKE
	ROTA_AWAIT(s, cx, &s->timer);
#else
	ROTA_AWAIT(s, cx, &s->timer.future);
#endif
	ROTA_ASYNC_END(s);
EOF

async 'awaits in loops and switches, several on a line' <<'EOF'
	ROTA_ASYNC_BEGIN(s);
	for (s->kept = 0; s->kept < 3; s->kept++) {
		switch (s->timer.future.status) {
		case 0: ROTA_AWAIT(s, cx, &s->timer.future); ROTA_AWAIT(s, cx, &s->timer.future); break;
		default: ROTA_AWAIT_SHIELDED(s, cx, &s->timer.future);
		}
	}
#ifdef MISTAKE
	missing();
#endif
	ROTA_ASYNC_END(s);
EOF

mistake 'a spawn whose result is dropped' <<'EOF'
int spawn(void);
int spawn(void)
{
#ifdef MISTAKE
	rota_spawn(NULL, work, NULL);
	return 0;
#else
	return rota_spawn(NULL, work, NULL);
#endif
}
EOF

mistake 'a received message whose arrival is not checked' <<'EOF'
int receive(struct rota_channel *channel);
int receive(struct rota_channel *channel)
{
	int value = 0;
#ifdef MISTAKE
	rota_channel_recv(channel, &value);
	return value;
#else
	return rota_channel_recv(channel, &value) < 0 ? -1 : value;
#endif
}
EOF

mistake 'a semaphore of more permits than there may be' <<'EOF'
#ifdef MISTAKE
#define MOST (ROTA_SEMAPHORE_MAX + 1)
#else
#define MOST ROTA_SEMAPHORE_MAX
#endif
struct rota_semaphore semaphore = ROTA_SEMAPHORE_INIT(MOST);
EOF

mistake 'a semaphore of fewer permits than none' <<'EOF'
#ifdef MISTAKE
#define FEWEST -1
#else
#define FEWEST 0
#endif
struct rota_semaphore some(unsigned n);
struct rota_semaphore some(unsigned n)
{
	static struct rota_semaphore semaphore = ROTA_SEMAPHORE_INIT(FEWEST);
	struct rota_semaphore computed = ROTA_SEMAPHORE_INIT(n);

	return n > 0 ? computed : semaphore;
}
EOF

exit $failed
