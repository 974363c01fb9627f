#!/bin/sh
# SPDX-License-Identifier: MIT
# The archive with link-time optimisation, as docs/guide-embedding.md says: it is built, installed, found by pkg-config and
# linked with programs, which are compiled for it and not, without a warning; what they do then is right; and errno, whose
# address a compiler takes for constant, is reached from no function that might wait.
# Environment: SOURCE, MESON; CC, which may be several words.
# shellcheck disable=SC1091,SC2086,SC2154
set -eu
. "$SOURCE/tests/api/scratch.sh"

lto=-flto=auto
if $CC --version | grep -q clang; then
	command -v ld.lld >/dev/null || exit 77 # how clang links what it has left as its own code
	lto="-flto -fuse-ld=lld"
fi

logged()
{
	"$@" >"$scratch/log" 2>&1 || { cat "$scratch/log"; exit 1; }
}

logged "$MESON" setup "$scratch/build" "$SOURCE" --prefix="$scratch/root" --buildtype=release -Db_lto=true \
	-Doptimization=2 --werror
logged "$MESON" compile -C "$scratch/build" rota:static_library
logged "$MESON" install -C "$scratch/build" --no-rebuild --tags devel

PKG_CONFIG_PATH=$(dirname "$(find "$scratch/root" -name rota.pc)")
export PKG_CONFIG_PATH
cflags=$(pkg-config --cflags rota)
libs=$(pkg-config --static --libs rota | sed 's/-lrota/-l:librota.a/')

# build NAME FLAG...
build()
{
	name=$1
	shift
	$CC -std=c11 -O2 "$@" $strict $cflags "$SOURCE/tests/api/$name.c" -o "$scratch/$name" $libs >"$scratch/log" 2>&1 ||
		fail "$name: does not link with $*"
	cat "$scratch/log"
	[ ! -s "$scratch/log" ] || fail "$name: warnings with $*"
	"$scratch/$name" || fail "$name with $*: exit code $?"
}

build program $lto
build inlined $lto
objdump -d "$scratch/inlined" | awk '
	/^[0-9a-f]+ <.*>:$/ { name = $2 }
	/__errno_location@?[a-z]*>$/ && name !~ /__errno_location|rota__sys_errno|handle_signal/ { print name; bad = 1 }
	END { exit bad }' || fail "errno is reached from there"

# gcc leaves both kinds of code.
case $CC in
*clang*) ;;
*) build program -fno-lto ;;
esac
exit $failed
