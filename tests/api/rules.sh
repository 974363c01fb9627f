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

# Tests, examples and benchmarks that nobody builds would rot: each is named in its folder's meson.build, or in
# that of the folder above.
for file in runtime/*.c io/*.c sync/*.c examples/*.c examples/*/*.c benchmarks/*.c tests/unit/*.c tests/stress/*.c tests/model/*.c; do
	[ -e "$file" ] || continue
	name=$(basename "$file" .c)
	folder=$(dirname "$file")
	if ! grep -qsE "'$name(\.c)?'" "$folder/meson.build" &&
		! grep -qs "'$(basename "$folder")/$name.c'" "$folder/../meson.build"; then
		echo "$file: in no meson.build"
		failed=1
	fi
done

# The calls of public headers that begin a wait: they fill in a struct that has a future.
waits()
{
	find runtime io sync -name '*.h' ! -name '*_internal.h' | while read -r header; do
		code "$header"
	done | awk '
		/^struct [a-z_0-9]+ \{/ { owner = $2 }
		/^}/ { owner = "" }
		owner && /^\t\t?struct rota_future future;/ { waits[owner] = 1 }
		match($0, /void rota_(op_[a-z_0-9]+|[a-z_0-9]+_init[a-z_]*)\(struct [a-z_0-9]+ \*/) {
			split(substr($0, RSTART, RLENGTH), word, /[ (]/)
			begins[word[2]] = word[4]
		}
		END {
			for (call in begins)
				if (begins[call] in waits)
					print call
		}'
}

# Each of them is awaited in an async function by a test.
for call in $(waits); do
	if ! grep -q "\\b$call(" tests/unit/async*.c; then
		echo "$call: awaited in no tests/unit/async*.c"
		failed=1
	fi
done

# The names of all atomic fields and variables: struct.field without the prefix of the struct, or the variable's.
atomics()
{
	code "$1" | awk '
		/^[ \t]*(static )?struct [a-z_0-9]+( [^()]*)?\{|^(static )?struct \{/ {
			if (++depth == 1) {
				owner = ""
				if (match($0, /struct [a-z_0-9]+/))
					owner = substr($0, RSTART + 7, RLENGTH - 7)
				sub(/^rota__?/, "", owner)
			}
			next
		}
		/^}/ { depth = 0 }
		/struct rota_atomic_(u32|u64|ptr) [a-z_]/ && !/\(.*struct rota_atomic|\* *[a-z_]+ *=|extern/ {
			text = $0
			sub(/.*struct rota_atomic_(u32|u64|ptr) /, "", text)
			sub(/[;=].*/, "", text)
			count = split(text, name, /, */)
			for (i = 1; i <= count; i++) {
				sub(/[[ ].*/, "", name[i])
				if (name[i] != "never") # a futex that nobody wakes
					print (depth == 0 ? "" : owner != "" ? owner "." : "[a-z_]*.") name[i]
			}
		}'
}

# docs/memory-ordering.md or docs/fork.md has a row for each, which names it in its first column.
set -f # the names may be patterns
for file in $(find runtime io sync -name '*.[ch]' | sort); do
	for name in $(atomics "$file"); do
		if ! grep -qE "^\|[^|]*\`(rota__?)?$(printf '%s' "$name" | sed 's/\./\\./')(\[\])?[\`.]" docs/memory-ordering.md docs/fork.md; then
			echo "$file: docs/memory-ordering.md has no row for \`$name\`"
			failed=1
		fi
	done
done
set +f

# A function that names a thread-local variable, or errno, is one that nothing is inlined from (runtime/opaque_internal.h).
thread_locals='errno'
for file in $(find runtime io sync -name '*.c' | sort); do
	thread_locals="$thread_locals $(code "$file" | sed -nE "s|^(.*[ )])?_Thread_local [^;]*[ *]([a-z_0-9]+);.*|$file:\\2|p" | tr '\n' ' ')"
done
for file in $(find runtime io sync -name '*.[ch]' | sort); do
	code "$file" | awk -v file="$file" -v names="$thread_locals" '
		BEGIN {
			count = split(names, all, " ")
			for (i = 1; i <= count; i++) {
				part = split(all[i], word, ":")
				if (part == 1 || word[1] == file || word[2] ~ /^rota__/)
					wanted[word[part]] = 1
			}
		}
		/^[A-Za-z_].*\(/ { head = $0 }
		/^{/ { inside = 1 }
		/^}/ { inside = 0 }
		inside && head !~ /ROTA__OPAQUE/ && !/ROTA__THREAD_WORD/ {
			text = $0
			while (match(text, /[A-Za-z_0-9]+/)) {
				name = substr(text, RSTART, RLENGTH)
				field = RSTART > 1 && substr(text, RSTART - 1, 1) ~ /[.>]/
				if (name in wanted && !field || name == "_Thread_local") {
					print file ": " $0
					bad = 1
				}
				text = substr(text, RSTART + RLENGTH)
			}
		}
		END { exit bad }' || { echo '^ a thread-local in a function that is not ROTA__OPAQUE'; failed=1; }
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
