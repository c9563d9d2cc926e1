#!/bin/bash
# The kernel under the tests can do what the driver needs: loop, dm-crypt, ext4, xfs. Without
# this every other failure would be hard to read.
set -euo pipefail
. "$(dirname "$0")/../../../scripts/lib.sh"

image=$SCRATCH/kernel.img
cleanup() {
	umount "$RUN/mnt" 2> /dev/null || true
	cryptsetup close kernel-test 2> /dev/null || true
	[ -z "${loop:-}" ] || losetup -d "$loop" || true
	rm -f "$image"
}
trap cleanup EXIT

truncate -s 400M "$image"
loop=$(losetup --show -f "$image")
key=$RUN/key
head -c 32 /dev/urandom > "$key"
cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \
	--sector-size 4096 "$loop" "$key"
cryptsetup open --key-file "$key" "$loop" kernel-test
mkdir -p "$RUN/mnt"

try() { # try FILE-SYSTEM MKFS...
	local kind=$1
	shift
	"$@" /dev/mapper/kernel-test
	mount -t "$kind" /dev/mapper/kernel-test "$RUN/mnt"
	echo plain-text-marker > "$RUN/mnt/file"
	sync -f "$RUN/mnt"
	grep -q plain-text-marker "$RUN/mnt/file"
	if grep -qa plain-text-marker "$image"; then
		echo "the image holds plain text"
		return 1
	fi
	umount "$RUN/mnt"
	result pass "kernel: loop, dm-crypt and $kind"
}
try ext4 mkfs.ext4 -q -F
try xfs mkfs.xfs -q -f
