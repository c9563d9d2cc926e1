#!/bin/bash
# The official conformance suite, csi-sanity, against the whole driver with volumes in S3: real
# rclone, a real S3 server on the loopback, the cache on dm-crypt.
# time limit: 2400
set -euo pipefail
. "$(dirname "$0")/../../../scripts/lib.sh"
. "$(dirname "$0")/../sanity.sh"

base=/run/lcw-sanity-s3 store=$SCRATCH/sanity-s3 port=7480
mkdir -p "$base" "$store/buckets" "$store/state"
ROOT_ACCESS_KEY=AKIASANITY ROOT_SECRET_KEY=sanity-secret-marker HOME=/nonexistent \
	"$LCW_VERSITYGW" --port "127.0.0.1:$port" --region us-east-1 posix "$store/buckets" \
	> "$RESULTS/sanity-s3-server.log" 2>&1 &
server=$!
start_driver "$base" "--rclone=$LCW_RCLONE" "--state-dir=$store/state"
trap 'stop_driver "$base"; kill "$server"; rm -rf --one-file-system "$store"' EXIT
remote=":s3,provider=Other,access_key_id=AKIASANITY,secret_access_key=sanity-secret-marker"
remote+=",region=us-east-1,endpoint='http://127.0.0.1:$port':sanity"
timeout 120 "$LCW_RCLONE" --config '' mkdir "$remote"

# A small cache and cheap key derivation: the suite stages dozens of volumes on an emulated
# processor.
cat > "$base/parameters.yaml" << Y
storage-backend: s3
s3-bucket: sanity
s3-region: us-east-1
s3-endpoint: http://127.0.0.1:$port
s3-force-path-style: "true"
rclone-vfs-cache-max-size: 64M
luks-pbkdf: pbkdf2
luks-pbkdf-iterations: "1000"
Y
keys='s3-access-key-id: AKIASANITY, s3-secret-access-key: sanity-secret-marker'
cat > "$base/secrets.yaml" << Y
CreateVolumeSecret: {$keys}
DeleteVolumeSecret: {$keys}
NodeStageVolumeSecret: {$keys, passphrase: sanity-passphrase-marker}
Y
run_sanity "$base" sanity-s3 \
	--csi.testvolumeparameters="$base/parameters.yaml" --csi.secrets="$base/secrets.yaml"
if grep -qE 'sanity-(passphrase|secret)-marker|AKIASANITY' "$base/driver.log"; then
	result fail "sanity-s3: no secret in the driver's log" "found in driver.log"
else
	result pass "sanity-s3: no secret in the driver's log"
fi
left=$(timeout 120 "$LCW_RCLONE" --config '' lsf -R "$remote")
if [ -z "$left" ]; then
	result pass "sanity-s3: nothing is left in the bucket"
else
	result fail "sanity-s3: nothing is left in the bucket" "$left"
fi
