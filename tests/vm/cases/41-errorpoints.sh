#!/bin/bash
# A sample of the system calls of every operation fails with EIO, ENOSPC, ENOMEM, EBUSY, EINTR or
# EMFILE: a CSI error that people can read, no leak, and the retry succeeds.
# time limit: 400
set -euo pipefail
. "$(dirname "$0")/../../../scripts/lib.sh"
. "$REPO/tests/torture/sample.sh"
walk_sample errors --rotate
