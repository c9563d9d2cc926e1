#!/bin/bash
# The official conformance suite, csi-sanity, against the whole driver with local volumes.
# time limit: 1800
set -euo pipefail
. "$(dirname "$0")/../../../scripts/lib.sh"
. "$(dirname "$0")/../sanity.sh"

base=/run/lcw-sanity
start_driver "$base"
trap 'stop_driver "$base"; rm -rf --one-file-system "$SCRATCH/sanity"' EXIT
mkdir -p "$SCRATCH/sanity"

# Cheap key derivation: the suite stages dozens of volumes on an emulated processor.
cat > "$base/parameters.yaml" << Y
local-path: $SCRATCH/sanity
luks-pbkdf: pbkdf2
luks-pbkdf-iterations: "1000"
Y
secret='{passphrase: sanity-passphrase-marker}'
cat > "$base/secrets.yaml" << Y
NodeStageVolumeSecret: $secret
Y
run_sanity "$base" sanity-local \
	--csi.testvolumeparameters="$base/parameters.yaml" --csi.secrets="$base/secrets.yaml"
if grep -q sanity-passphrase-marker "$base/driver.log"; then
	result fail "sanity-local: no passphrase in the driver's log" "found in driver.log"
else
	result pass "sanity-local: no passphrase in the driver's log"
fi
