#!/bin/bash
# The layer sys on a real kernel: loop devices, LUKS, probing, file systems, mounts, and programs
# that the kernel does not let die. tests/vm/sys does the work and prints each check.
# time limit: 1200
set -euo pipefail
. "$(dirname "$0")/../../../scripts/lib.sh"

program=$LCW_BUILD/tests/sys-systest
[ -x "$program" ] || die "$program is not built: tests/meson.build makes it of tests/vm/sys"
folder=$SCRATCH/sys
mkdir -p "$folder"
trap 'rm -rf --one-file-system "$folder"' EXIT

status=0
"$program" "$folder" "$@" 2>&1 | tee "$RUN/output" || status=$?
while read -r line; do
	case $line in
	'ok '*) result pass "sys: ${line#ok }" ;;
	'not ok '*) result fail "sys: ${line#not ok }" ;;
	esac
done < "$RUN/output" > "$RUN/results"
# A crash ends the output early, and none of its lines says so.
if [ "$status" != 0 ] && ! grep -q '^not ok ' "$RUN/output"; then
	result fail "sys" "ended with status $status"
fi
[ "$status" = 0 ]
