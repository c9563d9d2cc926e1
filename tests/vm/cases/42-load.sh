#!/bin/bash
# Mixed operations of some clients while the driver is killed again and again; the long form is
# `scripts/torture load`.
# time limit: 400
set -euo pipefail
. "$(dirname "$0")/../../../scripts/lib.sh"
mkdir -p "$SCRATCH/load"
status=0
"$LCW_PYTHON" "$REPO/tests/torture/load.py" --base="$SCRATCH/load" \
	--binary="$LCW_BUILD/lukscryptwalker-csi" --volumes=10 --clients=6 --seconds=60 \
	--kill-every=15 || status=$?
cp "$SCRATCH/load/driver.log" "${RESULTS:?is set by tests/vm/run}/load-driver.log" || true
rm -rf --one-file-system "$SCRATCH/load"
exit "$status"
