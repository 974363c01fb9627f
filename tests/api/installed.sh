#!/bin/sh
# SPDX-License-Identifier: MIT
# What a program outside of the tree gets: installs into a scratch directory and uses that only, by pkg-config. Each
# public header compiles alone, program.c runs with the shared and with the static library; both as C11 and as C++17.
# Environment: SOURCE, BUILD, MESON; CC and CXX, which may be several words.
# shellcheck disable=SC2086
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
strict="-Wall -Wextra -Werror -pedantic"
failed=0

fail()
{
	echo "^ $*"
	failed=1
}

"$MESON" install -C "$BUILD" --no-rebuild --destdir "$scratch/root" >"$scratch/log" 2>&1 ||
	{ cat "$scratch/log"; exit 1; }
found=$(find "$scratch/root" -name rota.pc)
PKG_CONFIG_PATH=$(dirname "$found")
PKG_CONFIG_SYSROOT_DIR=$scratch/root
PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1
PKG_CONFIG_ALLOW_SYSTEM_LIBS=1
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR PKG_CONFIG_ALLOW_SYSTEM_CFLAGS PKG_CONFIG_ALLOW_SYSTEM_LIBS
cflags=$(pkg-config --cflags rota)
shared_libs=$(pkg-config --libs rota)
static_libs=$(pkg-config --static --libs rota)

# All public headers, and nothing else.
(cd "$SOURCE" && find rota.h runtime io sync -name '*.h' -not -name '*_internal.h' | sort) >"$scratch/public"
(cd "$scratch/root" && find . -name '*.h' | sed 's|.*/include/rota/||' | sort) >"$scratch/headers"
diff -u --label tree "$scratch/public" --label installed "$scratch/headers" || fail "headers that are installed"

while read -r header; do
	# Twice, so that its guard is seen to work.
	printf '#include <%s>\n#include <%s>\n' "$header" "$header" >"$scratch/alone.c"
	$CC -std=c11 $strict $cflags -fsyntax-only -x c "$scratch/alone.c" || fail "$header, alone, as C11"
	$CXX -std=c++17 $strict $cflags -fsyntax-only -x c++ "$scratch/alone.c" || fail "$header, alone, as C++17"
done <"$scratch/headers"

# Where only the archive is, -lrota means the archive.
mkdir "$scratch/static"
cp "$(find "$scratch/root" -name librota.a)" "$scratch/static/"
libdir=$(dirname "$(find "$scratch/root" -name librota.so)")
program=$SOURCE/tests/api/program.c

$CC -std=c11 $strict $cflags -o "$scratch/c-shared" -x c "$program" -x none $shared_libs || fail "C11, shared"
$CXX -std=c++17 $strict $cflags -o "$scratch/cpp-shared" -x c++ "$program" -x none $shared_libs || fail "C++17, shared"
$CC -std=c11 $strict $cflags -o "$scratch/c-static" -x c "$program" -x none -L"$scratch/static" $static_libs ||
	fail "C11, static"
$CXX -std=c++17 $strict $cflags -o "$scratch/cpp-static" -x c++ "$program" -x none -L"$scratch/static" $static_libs ||
	fail "C++17, static"
[ $failed -eq 0 ] || exit 1

for kind in c cpp; do
	LD_LIBRARY_PATH=$libdir "$scratch/$kind-shared" || fail "$kind-shared: exit code $?"
	"$scratch/$kind-static" || fail "$kind-static: exit code $?"
done

# The shared library's own allocator must not become the program's.
LD_LIBRARY_PATH=$libdir LD_DEBUG=bindings "$scratch/c-shared" 2>&1 >/dev/null | grep "symbol .malloc'" >"$scratch/bindings"
if grep 'to [^ ]*jemalloc' "$scratch/bindings"; then
	fail "malloc was taken over"
fi
exit $failed
