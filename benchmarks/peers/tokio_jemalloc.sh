#!/bin/sh
# SPDX-License-Identifier: MIT
# tokio-peer on jemalloc, which rota is built with, in place of the C library's malloc: tokio_jemalloc.sh WORKLOAD --round...
# tokio-peer is that from $BENCH_PEERS; 77: there is none, or no jemalloc.
set -eu

library=libjemalloc.so.2
peer=${BENCH_PEERS:-$(cd "$(dirname "$0")" && pwd)/../../build/peers}/tokio-peer
[ -x "$peer" ] || exit 77
# Without it the loader says so and goes on.
[ -z "$(LD_PRELOAD=$library /bin/true 2>&1)" ] || exit 77
echo "# jemalloc, preloaded"
LD_PRELOAD=$library exec "$peer" "$@"
