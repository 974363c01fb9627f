# SPDX-License-Identifier: MIT
# Sourced by the scripts that compile programs: a directory of their own, and how a failure is told and kept.
# shellcheck shell=sh disable=SC2034
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
strict="-Wall -Wextra -Werror -pedantic"
failed=0

fail()
{
	echo "^ $*"
	failed=1
}
