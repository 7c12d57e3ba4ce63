#!/usr/bin/env bash
# resume.sh BUILD_FOLDER: a run that SIGTERM stops in the middle of epochs and that goes on with
# other numbers of workers ends with the same bits as one that was never stopped. (The number of
# threads stays the same: the last bits of sums may depend on it.)
. "$(dirname "$0")/run_kit.sh" "$1"

cat >experiment.toml <<END
extends = "$base"
[run]
epochs = 3
steps = 0
batch = 16
metric_steps = 1
probe_epochs = 2
baselines = true
[data]
count = 240
[[probe]]
use = "linear"
[[probe]]
use = "knn"
k = 3
[[task]]
use = "knn"
k = 5
[[task]]
use = "linear_probe"
epochs = 2
batch = 64
augment = true
END

has_more_steps() {
    [ -e "$1" ] && [ "$(grep -c '"kind": "train"' "$1")" -gt "$2" ]
}

# stop_after STEPS ARGUMENTS...: runs until so many steps are in the metrics, then stops it.
stop_after() {
    local steps=$1 code=0
    shift
    "$wisp" run experiment.toml "$@" >out 2>err &
    pid=$!
    wait_for has_more_steps "$folder/metrics.jsonl" "$steps" || fail "the run came to no step $steps"
    kill -TERM "$pid"
    wait "$pid" || code=$?
    [ "$code" = 1 ] || fail "exit code $code after SIGTERM"
    says "stopped at step" "the same command goes on from"
    at=$(sed -n 's/.*stopped at step \([0-9]*\).*/\1/p' err)
    echo "stopped at step $at"
    [ $((at % 15)) = 0 ] || in_epoch=$((in_epoch + 1))
}

compare_precision() {
    local common="run.precision=$1 run.threads=$2" straight=straight_$1 stopped=stopped_$1
    folder=$stopped/smoke/0
    in_epoch=0
    run 0 run experiment.toml run.out=$straight run.workers=2 $common
    stop_after 2 run.out=$stopped run.workers=0 $common
    stop_after 20 run.out=$stopped run.workers=7 $common
    stop_after 32 run.out=$stopped run.workers=1 $common
    run 0 run experiment.toml run.out=$stopped run.workers=3 $common
    grep -q "resuming at step $at of 45" out || fail "the run did not go on from step $at"
    [ "$in_epoch" -gt 0 ] || fail "no stop came in the middle of an epoch"
    same_runs $straight/smoke/0 $folder
    cp out finished
    run 0 run experiment.toml run.out=$stopped $common
    diff <(grep top- finished | grep -v ^epoch) <(grep top- out) ||
        fail "a finished run says something else when it is asked again"
    same_runs $straight/smoke/0 $folder
}

compare_precision f32 2
if "$wisp" check experiment.toml run.precision=bf16 >out 2>err; then
    compare_precision bf16 1
else
    says "has no bf16 arithmetic"
    echo "bf16: not on this machine"
fi
"$tools/json_lines" */smoke/0/metrics.jsonl */smoke/0/timing.jsonl || fail "the metrics are no JSON"
