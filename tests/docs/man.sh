#!/bin/sh
# SPDX-License-Identifier: MIT
# Every exported symbol has a manual page, each page has its text, and groff has nothing to say about any of them.
# Environment: SOURCE, the top of the tree.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

fail()
{
	echo "$*"
	failed=1
}

"$SOURCE/docs/man/pages.py" "$SOURCE" 0 "$scratch"
cp "$SOURCE/docs/man/rota.7" "$scratch/man3/"
cd "$scratch"
symbols=$(grep -o '\<rota_[a-z0-9_]*;' "$SOURCE/rota.map" | tr -d ';')
[ -n "$symbols" ] || fail "no symbol in rota.map"
for symbol in $symbols; do
	[ -e "man3/$symbol.3" ] || { fail "$symbol: no page"; continue; }
	page=$(sed -n 's/^\.so //p' "man3/$symbol.3")
	# Declared there, and under the description.
	sed '1,/^\.SH DECLARATIONS/d' "${page:-man3/$symbol.3}" | grep -q "\<$symbol\>" || fail "$symbol: not on its page"
done

pages=$(grep -L '^\.so ' man3/*)
for page in $pages; do
	# What goes to standard output is not wanted, what groff says of the page is.
	said=$(groff -man -ww -z -Tutf8 "$page" 2>&1) || fail "$page: groff failed"
	[ -z "$said" ] || fail "$said"
done

# rota(7) names all of section 3, and nothing else.
grep -o 'rota_[a-z_]*\\fP(3)' man3/rota.7 | sed 's/\\.*//' | sort -u >named
for name in $(cat named); do
	[ -e "man3/$name.3" ] || fail "rota(7): there is no $name(3)"
done
for page in $pages; do
	name=$(basename "$page" .3)
	[ "$name" = rota.7 ] || grep -qx "$name" named || fail "rota(7): does not name $name(3)"
done
[ $failed -eq 0 ] || exit 1
echo "$(echo "$symbols" | wc -l) symbols on $(echo "$pages" | wc -l) pages"
