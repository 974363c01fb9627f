#!/bin/sh
# SPDX-License-Identifier: MIT
# fio's io_uring engine as a peer of file_reads: fio.sh file_reads --round [--megabytes N] [--round-ms N]...
set -eu

[ "${1:-}" = file_reads ] && command -v fio >/dev/null || exit 77
shift
megabytes=64
round_ms=500
registered=0
while [ $# -gt 0 ]; do
	case $1 in
	--round) shift; continue ;;
	--megabytes) megabytes=$2 ;;
	--round-ms) round_ms=$2 ;;
	--registered) registered=$2 ;;
	esac
	shift 2
done
file=${TMPDIR:-/tmp}/fio-file-reads-$$
trap 'rm -f "$file"' EXIT
echo "# $(fio --version)"
for depth in 1 32 128; do
	fio --name=reads --filename="$file" --size="${megabytes}m" --rw=randread --bs=4k --direct=1 --ioengine=io_uring \
		--iodepth="$depth" --time_based --runtime="$((round_ms))ms" --norandommap \
		--fixedbufs="$registered" --output-format=terse |
		awk -F ';' -v depth="$depth" '/^[0-9]/ { print "direct-" depth, $8, "reads/s" }'
done
