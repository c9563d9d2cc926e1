# shellcheck shell=bash
# Helpers of all scripts. Use: . "$(dirname "$0")/lib.sh"

REPO=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")
# shellcheck disable=SC2034 # for the scripts that source this
CACHE=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/lukscryptwalker

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

die() {
	say "$*"
	exit 1
}

need_root() { # need_root WHAT-FOR
	[ "$(id -u)" = 0 ] || die "$1 needs root: run 'sudo $0'"
}

# True only if the kernel that runs now can do what the driver needs. In a container the files
# may exist and still be unusable, so root opens them.
have_device_mapper() {
	[ -c /dev/mapper/control ] && [ -c /dev/loop-control ] || return 1
	[ -d /sys/module/dm_crypt ] || modprobe -q dm-crypt 2> /dev/null || return 1
	[ "$(id -u)" != 0 ] || { : <> /dev/mapper/control <> /dev/loop-control; } 2> /dev/null
}

have_kvm() {
	grep -qwE 'vmx|svm' /proc/cpuinfo && [ -w /dev/kvm ]
}

# Prints `host` or `vm`: where things that need a real kernel run.
# LCW_REAL_KERNEL=vm keeps them off a host that could do it.
real_kernel() {
	case ${LCW_REAL_KERNEL:-auto} in
	host | vm) echo "$LCW_REAL_KERNEL" ;;
	*) if have_device_mapper; then echo host; else echo vm; fi ;;
	esac
}

# run_on_real_kernel [-m MB] [-c CPUS] [-t SECONDS] [-d SIZE]... [-e VAR=VALUE]... [-r DIR] SCRIPT [ARG]...
# Runs SCRIPT as root with device-mapper and loop devices: on this kernel if it has them, else
# in scripts/vm. In both: LCW_DISKS names the scratch disks (-d, sparse), RESULTS names DIR,
# /run is empty, TMPDIR is writable, and whatever SCRIPT started or mounted ends with it.
run_on_real_kernel() {
	case $(real_kernel) in
	host)
		say "real kernel: this machine's, $(uname -r)"
		[ "$(id -u)" = 0 ] ||
			die "device-mapper and mounts need root: run 'sudo $0', or 'LCW_REAL_KERNEL=vm $0' for a virtual machine"
		"$REPO/scripts/vm.d/host" "$@"
		;;
	vm)
		say "real kernel: a virtual machine (this machine's has no device-mapper or loop devices)"
		"$REPO/scripts/install-deps" vm
		_in_vm "$@"
		;;
	esac
}

_in_vm() (
	options=() results=''
	disks=$(mktemp -d "${TMPDIR:-/tmp}/lcw-disks.XXXXXX")
	vm_pid=''
	trap '[ -z "$vm_pid" ] || kill "$vm_pid" 2> /dev/null || true; rm -rf "$disks"' EXIT
	trap 'exit 130' INT TERM HUP
	while getopts m:c:t:d:e:r: option; do
		case $option in
		m | c | t | e) options+=("-$option" "$OPTARG") ;;
		d)
			image=$(mktemp "$disks/XXXXXX")
			truncate -s "$OPTARG" "$image"
			options+=(-d "$image")
			;;
		r) results=$OPTARG ;;
		*) die "run_on_real_kernel: unknown option" ;;
		esac
	done
	shift $((OPTIND - 1))
	script=$1
	shift
	# In the background, so that a signal is handled at once and not after the VM has ended.
	"$REPO/scripts/vm" "${options[@]}" "$script" "${results:-$disks}" "$@" &
	vm_pid=$!
	status=0
	wait "$vm_pid" || status=$?
	vm_pid=''
	exit "$status"
)

# Results of tests, one line each: pass|fail TAB name TAB reason. scripts/test counts them.
result() { # result pass|fail NAME [REASON]
	local reason=${3:-}
	printf '%s\t%s\t%s\n' "$1" "$2" "${reason//[$'\n\t']/ }" >> "${RESULT_FILE:-/dev/null}"
	case $1 in
	pass) printf '  ok    %s\n' "$2" ;;
	*) printf '  FAIL  %s%s\n' "$2" "${reason:+: $reason}" ;;
	esac
}

# check_step NAME LOG COMMAND...: one test that is a command; its output goes to LOG.
check_step() {
	local name=$1 log=$2
	shift 2
	if "$@" > "$log" 2>&1 < /dev/null; then
		result pass "$name"
	else
		result fail "$name" "see $log"
		tail -n 25 "$log" | sed 's/^/        /'
	fi
}

# run_pytest BUILD ARGUMENT...: each test is a result, named "BUILD: ..."; logs in $STAGE_LOGS.
run_pytest() {
	local build=$1 log=$STAGE_LOGS/$1 status=0 outcome name reason
	shift
	timeout -k 10 1200 "$(scripts/tools python)" -m pytest -q -p no:cacheprovider --timeout 120 \
		--junitxml "$log.xml" "$@" > "$log.log" 2>&1 || status=$?
	if [ ! -s "$log.xml" ]; then
		tail -n 25 "$log.log"
		result fail "$build: pytest" "ended with status $status; see $log.log"
		return
	fi
	scripts/test.d/junit-results "$log.xml" "$build: " > "$log.list"
	while IFS=$'\t' read -r outcome name reason; do
		result "$outcome" "$name" "$reason"
	done < "$log.list"
	[ "$status" = 0 ] || tail -n 60 "$log.log"
}

# Every shell script of the project, one per line.
shell_scripts() {
	grep -rlIE --exclude-dir='.git' --exclude-dir='build*' \
		'^#!/(bin|usr/bin)/(env )?(ba|da)?sh|^# shellcheck shell=' \
		"$REPO/scripts" "$REPO/tests" "$REPO/.ci" | sort
}

# Prints the path of a Go that can build the tools (1.21 fetches newer ones by itself).
find_go() {
	local go version
	for go in "$(command -v go || true)" /usr/local/go/bin/go "$HOME/go/bin/go" /usr/lib/go-1.*/bin/go; do
		[ -x "$go" ] || continue
		version=$("$go" env GOVERSION 2> /dev/null) || continue
		case $version in
		go1.[0-9] | go1.[0-9].* | go1.1[0-9]* | go1.20*) ;;
		*)
			echo "$go"
			return
			;;
		esac
	done
	return 1
}
