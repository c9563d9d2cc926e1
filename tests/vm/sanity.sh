# shellcheck shell=bash
# Driver and csi-sanity for the cases that run the conformance suite. After scripts/lib.sh.

# start_driver DIR [OPTION]...: role `all`, its socket DIR/csi.sock, kubelet's folder DIR/kubelet.
start_driver() {
	local base=$1 try
	shift
	mkdir -p "$base/kubelet"
	"$LCW_BUILD/lukscryptwalker-csi" all "--endpoint=unix://$base/csi.sock" --node-id=node-a \
		"--state-dir=$base/state" "--run-dir=$base/run" "--kubelet-dir=$base/kubelet" \
		--http-endpoint= "$@" > "$base/driver.log" 2>&1 &
	driver_pid=$!
	for ((try = 0; try < 150; try++)); do
		[ ! -S "$base/csi.sock" ] || return 0
		kill -0 "$driver_pid" 2> /dev/null || break
		sleep 0.2
	done
	cat "$base/driver.log"
	die "the driver does not listen on $base/csi.sock"
}

# stop_driver DIR: SIGTERM must end it with status 0; keeps its log.
stop_driver() {
	local base=$1 try status=0
	cp "$base/driver.log" "$RESULTS/$(basename "$base")-driver.log"
	kill "$driver_pid" 2> /dev/null || true
	for ((try = 0; try < 50; try++)); do
		kill -0 "$driver_pid" 2> /dev/null || break
		sleep 0.2
	done
	kill -KILL "$driver_pid" 2> /dev/null || true
	wait "$driver_pid" || status=$?
	if [ "$status" = 0 ]; then
		result pass "$(basename "$base"): the driver ends on SIGTERM"
	else
		result fail "$(basename "$base"): the driver ends on SIGTERM" "status $status"
	fi
}

# run_sanity DIR NAME OPTION...: every spec of the suite is one result. Specs that skip themselves
# are about capabilities the driver does not have: they are listed, and counted in neither way.
run_sanity() {
	local base=$1 name=$2 status=0
	shift 2
	timeout -k 10 1500 "$LCW_CSI_SANITY" "--csi.endpoint=unix://$base/csi.sock" \
		--csi.stagingdir="$base/kubelet/staging" --csi.mountdir="$base/kubelet/mount" \
		--csi.testvolumesize=67108864 --csi.testvolumeexpandsize=134217728 \
		--ginkgo.no-color --ginkgo.json-report="$RESULTS/$name.json" "$@" || status=$?
	[ -s "$RESULTS/$name.json" ] || die "csi-sanity ended with status $status and no report"
	python3 "$REPO/tests/vm/sanity-report" "$RESULTS/$name.json" "$name" >> "$RESULT_FILE"
	if [ "$status" != 0 ] && ! grep -q '^fail' "$RESULT_FILE"; then
		result fail "$name" "csi-sanity ended with status $status"
	fi
}
