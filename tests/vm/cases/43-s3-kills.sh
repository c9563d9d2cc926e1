#!/bin/bash
# rclone, mounter and driver are killed under a writer; the long form is `scripts/torture s3`.
# time limit: 900
set -euo pipefail
. "$(dirname "$0")/../../../scripts/lib.sh"
status=0
"$LCW_PYTHON" "$REPO/tests/torture/s3_kills.py" --base="$SCRATCH/s3-kills" \
	--binary="$LCW_BUILD/lukscryptwalker-csi" --rounds=3 || status=$?
cp "$SCRATCH/s3-kills/driver/driver.log" "${RESULTS:?is set by tests/vm/run}/s3-kills-driver.log" || true
rm -rf --one-file-system "$SCRATCH/s3-kills"
exit "$status"
