#!/bin/sh
# SPDX-License-Identifier: MIT
# What a program outside of the tree gets: installs into a scratch directory and uses that only, by pkg-config. Each
# public header compiles alone; program.c and contract.c run with the shared and with the static library; all as C11 and
# as C++17.
# Environment: SOURCE, BUILD, MESON; CC and CXX, which may be several words.
# shellcheck disable=SC1091,SC2086,SC2154
set -eu
. "$SOURCE/tests/api/scratch.sh"

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
# As docs/guide-embedding.md says for programs with these warnings on.
system_cflags=$(printf '%s\n' "$cflags" | sed 's/-I/-isystem /')
echo '#include <rota.h>' >"$scratch/alone.c"
$CXX -std=c++17 $strict -Wshadow -Wold-style-cast $system_cflags -fsyntax-only -x c++ "$scratch/alone.c" ||
	fail "as headers of the system"

# Where only the archive is, -lrota means the archive.
mkdir "$scratch/static"
cp "$(find "$scratch/root" -name librota.a)" "$scratch/static/"
libdir=$(dirname "$(find "$scratch/root" -name librota.so)")

# build NAME COMPILER LANGUAGE FLAG...: tests/api/NAME.c, with the shared and with the static library
build()
{
	name=$1 compiler=$2 language=$3
	shift 3
	$compiler "$@" $strict $cflags -o "$scratch/$name-$language-shared" -x "$language" "$SOURCE/tests/api/$name.c" \
		-x none $shared_libs || fail "$name: $*, shared"
	$compiler "$@" $strict $cflags -o "$scratch/$name-$language-static" -x "$language" "$SOURCE/tests/api/$name.c" \
		-x none -L"$scratch/static" $static_libs || fail "$name: $*, static"
}

for name in program contract; do
	build $name "$CC" c -std=c11
	build $name "$CXX" c++ -std=c++17
done
[ $failed -eq 0 ] || exit 1

for name in program contract; do
	for language in c c++; do
		LD_LIBRARY_PATH=$libdir "$scratch/$name-$language-shared" || fail "$name-$language-shared: exit code $?"
		"$scratch/$name-$language-static" || fail "$name-$language-static: exit code $?"
	done
done

# The shared library's own allocator must not become the program's.
LD_LIBRARY_PATH=$libdir LD_DEBUG=bindings "$scratch/program-c-shared" 2>&1 >/dev/null | grep "symbol .malloc'" >"$scratch/bindings"
if grep 'to [^ ]*jemalloc' "$scratch/bindings"; then
	fail "malloc was taken over"
fi
exit $failed
