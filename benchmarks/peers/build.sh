#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the programs that the benchmarks are compared with: build.sh DIRECTORY
# tokio-peer: needs Debian's cargo and librust-tokio-dev; works without a network. go-peer: needs Go, on the PATH or as
# Debian installs it. epoll-peer: needs a C compiler.
# serial-peer: a C compiler. tbb-peer: needs libtbb-dev. rayon-peer: needs cargo and librust-rayon-dev.
# What cannot be built is left out, with a note: the harness skips absent peers. What is newer than its sources is kept.
set -eu

[ $# -eq 1 ] || { echo "usage: build.sh DIRECTORY" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
registry=${CARGO_REGISTRY_DIR:-/usr/share/cargo/registry}
cc=${CC:-cc} # these two may be several words, and are not quoted below, as in make(1)
cxx=${CXX:-c++}

note()
{
	echo "peers: $*" >&2
}

# current PEER SOURCE...: whether the peer is there, and newer than its sources and this script
current()
{
	peer=$out/$1
	shift
	[ -e "$peer" ] && [ -z "$(cd "$here" && find "$@" build.sh -type f -newer "$peer" | head -n 1)" ] && echo "$peer"
}

# build_tokio_with CARGO RUSTC: in a copy of the sources, since cargo writes a lock file beside the manifest
build_tokio_with()
{
	compiler=$("$2" --version) || return 1
	rm -rf "$out/tokio-src"
	cp -R "$here/tokio" "$out/tokio-src"
	PEER_TOKIO_VERSION=${tokio#tokio-} PEER_RUSTC_VERSION=$compiler RUSTC=$2 \
		"$1" build --quiet --offline --release --manifest-path "$out/tokio-src/Cargo.toml" \
		--target-dir "$out/tokio-target" \
		--config 'source.crates-io.replace-with="debian"' \
		--config "source.debian.directory=\"$registry\"" &&
		cp "$out/tokio-target/release/tokio-peer" "$out/tokio-peer" &&
		echo "$out/tokio-peer"
}

# $CARGO and $RUSTC, else those of the PATH, which may be newer and make the peer faster, else Debian's.
build_tokio()
{
	tokio=
	for directory in "$registry"/tokio-1.*; do
		[ -d "$directory" ] && tokio=${directory##*/}
	done
	if [ -z "$tokio" ]; then
		note "no tokio in $registry (Debian: librust-tokio-dev), tokio-peer left out"
	elif ! build_tokio_with "${CARGO:-cargo}" "${RUSTC:-rustc}" &&
		! { note "that did not work, trying Debian's"; build_tokio_with /usr/bin/cargo /usr/bin/rustc; }; then
		note "tokio-peer left out"
	fi
}

build_epoll()
{
	$cc -std=gnu11 -O3 -g -Wall -Wextra -pthread -o "$out/epoll-peer" "$here/epoll_echo.c" "$here/echo_loops.c"
	echo "$out/epoll-peer"
}

build_uring()
{
	$cc -std=gnu11 -O3 -g -Wall -Wextra -pthread -o "$out/uring-peer" "$here/uring_echo.c" "$here/echo_loops.c" \
		-luring && echo "$out/uring-peer" || note "no liburing (Debian: liburing-dev), uring-peer left out"
}

build_threads()
{
	$cc -std=gnu11 -O3 -g -Wall -Wextra -pthread -o "$out/threads-peer" "$here/threads.c"
	echo "$out/threads-peer"
}

build_boost()
{
	$cxx -std=c++17 -O3 -DNDEBUG -Wall -Wextra -pthread -o "$out/boost-peer" "$here/boost_fiber.cpp" \
		-lboost_fiber -lboost_context 2>/dev/null && echo "$out/boost-peer" ||
		note "no Boost.Fiber (Debian: libboost-fiber-dev), boost-peer left out"
}

build_epoll_server()
{
	$cc -std=gnu11 -O3 -g -Wall -Wextra -o "$out/epoll-server" "$here/epoll_server.c"
	echo "$out/epoll-server"
}

build_tbb()
{
	$cxx -std=c++17 -O3 -Wall -Wextra -o "$out/tbb-peer" "$here"/tbb/*.cpp "$out/libleaves.a" -ltbb \
		2>/dev/null &&
		echo "$out/tbb-peer" || note "no oneTBB (Debian: libtbb-dev), tbb-peer left out"
}

# What the contenders in fork and join have in common.
build_leaves()
{
	for name in arrays uts_tree; do
		$cc -std=gnu11 -O3 -Wall -Wextra -c -o "$out/$name.o" "$here/../$name.c"
	done
	ar rcs "$out/libleaves.a" "$out/arrays.o" "$out/uts_tree.o"
}

build_serial()
{
	$cc -std=gnu11 -O3 -Wall -Wextra -o "$out/serial-peer" "$here/serial.c" "$out/libleaves.a" -lm
	echo "$out/serial-peer"
}

build_rayon()
{
	rayon=
	for directory in "$registry"/rayon-1.*; do
		[ -d "$directory" ] && rayon=${directory##*/}
	done
	if [ -z "$rayon" ]; then
		note "no rayon in $registry (Debian: librust-rayon-dev), rayon-peer left out"
		return 0
	fi
	rm -rf "$out/rayon-src"
	cp -R "$here/rayon" "$out/rayon-src"
	RUSTFLAGS="-L native=$out -l static=leaves -l m" PEER_RAYON_VERSION=${rayon#rayon-} PEER_RUSTC_VERSION=$("${RUSTC:-rustc}" --version) \
		"${CARGO:-cargo}" build --quiet --offline --release --manifest-path "$out/rayon-src/Cargo.toml" \
		--target-dir "$out/rayon-target" \
		--config 'source.crates-io.replace-with="debian"' \
		--config "source.debian.directory=\"$registry\"" &&
		cp "$out/rayon-target/release/rayon-peer" "$out/rayon-peer" &&
		echo "$out/rayon-peer" || note "rayon-peer left out"
}

build_go()
{
	go=
	for candidate in "$(command -v go || true)" /usr/lib/go-*/bin/go; do
		[ -x "$candidate" ] && go=$candidate
	done
	if [ -z "$go" ]; then
		note "no Go (Debian: golang-go), go-peer left out"
	elif (cd "$here/go" && GOCACHE="$out/go-cache" GOFLAGS=-mod=mod GOTOOLCHAIN=local "$go" build -o "$out/go-peer" .); then
		echo "$out/go-peer"
	else
		note "go-peer left out"
	fi
}

build_uv()
{
	if ! pkg-config --exists libuv; then
		note "no libuv (Debian: libuv1-dev), uv-peer left out"
		return
	fi
	# shellcheck disable=SC2046
	$cc -std=gnu11 -O3 -g -Wall -Wextra -pthread -o "$out/uv-peer" "$here"/uv_*.c \
		$(pkg-config --cflags --libs libuv)
	echo "$out/uv-peer"
}

leaves="../arrays.c ../arrays.h ../uts_tree.c ../uts_tree.h"
current tokio-peer tokio || build_tokio
current go-peer go || build_go
current epoll-peer epoll_echo.c echo_loops.c echo_loops.h || build_epoll
current uring-peer uring_echo.c echo_loops.c echo_loops.h || build_uring
current threads-peer threads.c option.h || build_threads
current boost-peer boost_fiber.cpp option.h || build_boost
current epoll-server epoll_server.c || build_epoll_server
current uv-peer "$here"/uv*.h "$here"/uv_*.c || build_uv
# shellcheck disable=SC2086
{
	current libleaves.a $leaves || build_leaves
	current serial-peer serial.c option.h $leaves || build_serial
	current tbb-peer tbb $leaves || build_tbb
	current rayon-peer rayon $leaves || build_rayon
}
