#!/bin/sh
# SPDX-License-Identifier: MIT
# The headers declare, rota.map lists and the shared library exports the same symbols; the static library defines none
# that a program could mean. Environment: SOURCE, BUILD, NM.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

# What stands between ROTA_API and the end of the declaration: the name before the first parenthesis, or the last.
find "$SOURCE/runtime" "$SOURCE/io" "$SOURCE/sync" -name '*.h' -not -name '*_internal.h' -exec cat {} + |
	grep -v '^#' | tr '\n\t' '  ' | sed 's|/\*|\n&|g; s|\*/|&\n|g' | grep -v '^/\*' | tr '\n' ' ' |
	grep -o 'ROTA_API [^;]*;' | sed 's/(.*//; s/[[;].*//; s/ *$//; s/.*[ *]//' | sort >"$scratch/headers"
grep -o '\<rota_[a-z0-9_]*;' "$SOURCE/rota.map" | tr -d ';' | sort >"$scratch/map"
"$NM" -D --defined-only "$BUILD/librota.so" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort >"$scratch/library"

[ -s "$scratch/headers" ] || { echo "no declaration found in the headers"; failed=1; }
for other in headers library; do
	diff -u --label rota.map "$scratch/map" --label "$other" "$scratch/$other" || failed=1
done

if "$NM" -g --defined-only "$BUILD/librota.a" 2>/dev/null | awk 'NF == 3 { print $3 }' | grep -v '^rota_'; then
	echo "^ a global name in librota.a without the prefix rota_"
	failed=1
fi
exit $failed
