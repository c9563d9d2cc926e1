#!/bin/bash
# A worker, the driver or both are killed at a sample of the system calls of every operation; the
# retry must find the volume as if nothing had happened. `make torture` does it at every call.
# time limit: 400
set -euo pipefail
. "$(dirname "$0")/../../../scripts/lib.sh"
. "$REPO/tests/torture/sample.sh"
walk_sample kills
