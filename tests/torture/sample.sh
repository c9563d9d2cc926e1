# shellcheck shell=bash
# The short form of the walks, for the cases of tests/vm/cases. After scripts/lib.sh.

# walk_sample WHAT [ARGUMENT...]: a sample chosen by LCW_SEED, each walk one result.
walk_sample() {
	local what=$1 base=$SCRATCH/walk-$1 status=0
	shift
	mkdir -p "$base"
	"$LCW_PYTHON" "$REPO/tests/torture/walk.py" "$what" "$@" --base="$base" \
		--tool="$LCW_BUILD/tests/torture/syscallpoint" \
		--binary="$LCW_BUILD/lukscryptwalker-csi" \
		--seed="${LCW_SEED:-1}" --budget=6 --seconds="${LCW_WALK_SECONDS:-150}" \
		--results="$RESULT_FILE" || status=$?
	cp "$base/driver.log" "$RESULTS/walk-$what-driver.log" || true
	rm -rf --one-file-system "$base"
	return "$status"
}
