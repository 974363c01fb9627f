#!/bin/sh
# SPDX-License-Identifier: MIT
# Rules of the house that can be read off the sources. Environment: SOURCE, the top of the tree.
set -eu
cd "$SOURCE"
failed=0

# refuse REASON PATTERN FILE...: no line of the files may match, comments and strings aside
refuse()
{
	reason=$1 pattern=$2
	shift 2
	for file; do
		lines=$(code "$file" | grep -nE "$pattern") || continue
		printf '%s\n' "$lines" | sed "s|^|$file:|"
		echo "^ $reason"
		failed=1
	done
}

# The lines of a file, numbered as they were, without comments; a name in quotes stays in an #include only.
code()
{
	awk '{
		text = $0
		if (text !~ /^[ \t]*#[ \t]*include/)
			gsub(/"([^"\\]|\\.)*"/, "\"\"", text)
		out = ""
		while (text != "") {
			if (inside) {
				end = index(text, "*/")
				if (!end)
					break
				text = substr(text, end + 2)
				inside = 0
			} else {
				start = index(text, "/*")
				if (!start) {
					out = out text
					break
				}
				out = out substr(text, 1, start - 1)
				text = substr(text, start + 2)
				inside = 1
			}
		}
		sub(/\/\/.*/, "", out)
		print out
	}' "$1"
}

sources()
{
	find "$@" -name '*.[chS]'
}

# Tests, examples and benchmarks that nobody builds would rot: each is named in its folder's meson.build.
for file in runtime/*.c io/*.c sync/*.c examples/*.c benchmarks/*.c tests/unit/*.c tests/stress/*.c; do
	[ -e "$file" ] || continue
	name=$(basename "$file" .c)
	if ! grep -qE "'$name(\.c)?'" "$(dirname "$file")/meson.build"; then
		echo "$file: not in $(dirname "$file")/meson.build"
		failed=1
	fi
done

include='^[ 	]*#[ 	]*include[ 	]*["<]'
# File names here have no spaces.
# shellcheck disable=SC2046
{
	refuse 'runtime/ includes neither io/ nor sync/' "${include}([^\">]*/)?(io|sync)/" $(sources runtime)
	refuse 'io/ does not include sync/' "${include}([^\">]*/)?sync/" $(sources io)
	refuse 'sync/ does not include io/' "${include}([^\">]*/)?io/" $(sources sync)
	refuse 'what is public does not include what is not' "${include}[^\">]*_internal\\.h" \
		rota.h $(sources runtime io sync -not -name '*_internal.h' -name '*.h')
	refuse 'programs use what is public only' "${include}[^\">]*_internal\\.h|rota__" \
		$(sources examples benchmarks tests/api -not -path benchmarks/switch.c)
	refuse 'errno is for the syscall layer: elsewhere a fiber may resume on another thread' \
		'(^|[^A-Za-z0-9_<])errno([^A-Za-z0-9_.]|$)' $(sources runtime io sync -not -name 'sys*.c')
}
exit $failed
