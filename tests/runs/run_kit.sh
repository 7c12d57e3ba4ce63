# run_kit.sh BUILD_FOLDER - what the tests of whole runs share; to be sourced.
#
# The shell is in an empty folder afterwards, in memory where there is such a place: runs sync their
# files, and on a busy disk that takes longer than anything else.
set -u
build=$(cd "$1" && pwd)
source_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
wisp=$build/wisp
tools=$build/tests/tools
base=$source_folder/configs/smoke/base.toml
export OMP_WAIT_POLICY=passive LC_ALL=C

if [ -w /dev/shm ] && [ "$(df --output=avail /dev/shm | tail -n 1)" -gt 300000 ]; then
    work=$(mktemp -d /dev/shm/wisp-test.XXXXXX)
else
    work=$(mktemp -d)
fi
trap 'leave $?' EXIT
cd "$work" || exit 1

leave() {
    local left
    left=$(jobs -p)
    [ -z "$left" ] || kill -9 $left 2>/dev/null
    wait 2>/dev/null
    cd / || exit 1
    if [ "$1" != 0 ] && [ -n "${WISP_KEEP:-}" ]; then
        echo "kept: $work"
    else
        rm -rf "$work"
    fi
    exit "$1"
}

fail() {
    {
        echo "FAILED: $*"
        for log in out err; do
            [ ! -s "$log" ] || { echo "--- $log"; tail -n 20 "$log"; }
        done
    } >&2
    exit 1
}

# run CODE ARGUMENTS...: the command's exit code must be CODE; its words go to `out` and `err`.
run() {
    local wanted=$1 code=0
    shift
    "$wisp" "$@" >out 2>err || code=$?
    [ "$code" = "$wanted" ] || fail "exit code $code instead of $wanted: wisp $*"
}

# says TEXT...: each stands in `err`.
says() {
    local text
    for text in "$@"; do
        grep -qF -- "$text" err || fail "this is not said: $text"
    done
}

# Both run folders hold the same files; weights, metrics and results are the same to the last bit.
same_runs() {
    local a=$1 b=$2 file
    diff <(cd "$a" && find . | sort) <(cd "$b" && find . | sort) >&2 ||
        fail "$b holds other files than $a"
    cmp "$a/metrics.jsonl" "$b/metrics.jsonl" >&2 || fail "the metrics of $b are not those of $a"
    for file in "$a"/checkpoints/*.safetensors; do
        file=${file##*/}
        [ "$file" = previous.safetensors ] || # whatever came before the last one
            "$tools/safetensors_diff" {"$a","$b"}/checkpoints/"$file" >&2 ||
            fail "$file of $b is not that of $a"
    done
}

# wait_for CONDITION...: until the command succeeds; gives up after a minute or when the run $pid is
# over.
wait_for() {
    local i
    for ((i = 0; i < 3000; i++)); do
        "$@" && return 0
        kill -0 "$pid" 2>/dev/null || return 1
        sleep 0.02
    done
    return 1
}

# write_smoke NAME: NAME.toml, the smoke experiment on one thread into folder NAME, with more lines
# from the input.
write_smoke() {
    {
        cat <<END
extends = "$base"
[run]
threads = 1
workers = 1
out = "$1"
END
        cat
    } >$1.toml
}

# train NAME OVERRIDES...: writes it as above and runs it.
train() {
    write_smoke "$1"
    run 0 run $1.toml "${@:2}"
}

# differing_tensors A B: names of the tensors that differ between the last checkpoints.
differing_tensors() {
    "$tools/safetensors_diff" {$1,$2}/smoke/0/checkpoints/last.safetensors |
        grep '^[^ ]*: ' | grep -v '^wisp[.]'
}

# train_lines RUN: its steps' metrics.
train_lines() {
    grep '"kind": "train"' "$1/smoke/0/metrics.jsonl"
}

# stops_leave_no_trace STEP...: experiment.toml goes straight through into `straight`, and into
# `stopped` with an end after each STEP; the steps and all tensors must be the same. (What a probe
# finds at the end of each part is not.)
stops_leave_no_trace() {
    local steps difference
    run 0 run experiment.toml run.out=straight
    for steps in "$@" 0; do
        run 0 run experiment.toml run.out=stopped run.steps=$steps
    done
    grep -q "resuming at step ${*: -1} of 20" out || fail "the run did not go on"
    diff <(train_lines straight) <(train_lines stopped) >&2 || fail "the steps are not the same"
    difference=$("$tools/safetensors_diff" {straight,stopped}/smoke/0/checkpoints/last.safetensors |
        grep -v '^wisp\.\(facts\|results\): ')
    [ -z "$difference" ] || fail "the tensors are not the same: $difference"
}

# keeps STATE...: each is in the last checkpoint of `straight`.
keeps() {
    local state
    for state in "$@"; do
        head -c 100000 straight/smoke/0/checkpoints/last.safetensors | grep -qa "\"state\.$state\"" ||
            fail "the checkpoint has no $state"
    done
}
