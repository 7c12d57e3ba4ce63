#!/usr/bin/env bash
# resume.sh BUILD_FOLDER: a run that SIGTERM stops in the middle of epochs and that goes on with
# other numbers of workers ends with the same bits as one that was never stopped. The last bits of
# sums may depend on threads and instruction set: a run that goes on with others says so.
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
    grep -q "may not end with the bits" err && fail "it finds a change where there is none"
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
# --- other means ---

export CUDA_VISIBLE_DEVICES= # what changes below belongs to the cpu backend
changed="this run may not end with the bits of one that was never stopped: "
steps() { # NUMBER THREADS
    run 0 run experiment.toml run.out=changed run.steps=$1 run.threads=$2
    warnings=$(grep -c "may not end with the bits" err)
}
steps 3 1
[ "$warnings" = 0 ] || fail "a new run finds a change"
steps 5 1
[ "$warnings" = 0 ] || fail "it finds a change where there is none"
steps 6 2
says "${changed}threads 1 before, now 2"
[ "$warnings" = 1 ] || fail "it is said $warnings times"
steps 6 1
[ "$warnings" = 0 ] || fail "a run without anything left to do finds a change"
steps 7 1
says "${changed}threads 2 before, now 1"
manifest=changed/smoke/0/manifest.json
[ "$(tr -d ' \n' <$manifest | grep -o '"threads":[12]' | tr -cd '12')" = 121 ] ||
    fail "the manifest does not say how the run was made"
"$tools/json_lines" <(tr -d '\n' <$manifest && echo) || fail "the manifest is no JSON"
export ONEDNN_MAX_CPU_ISA=SSE41
"$wisp" check experiment.toml >out || fail "a limit of the instruction set does not work"
if [ "$(grep -o '^# device: .*' out)" = "$(ONEDNN_MAX_CPU_ISA=ALL "$wisp" check experiment.toml |
    grep -o '^# device: .*')" ]; then
    echo "this processor has one instruction set only"
else
    steps 8 1
    says "$changed" 'device "cpu: ' 'before, now "cpu: cpu (baseline)"'
fi
unset ONEDNN_MAX_CPU_ISA
sed -i 's/"hash": "./"hash": "x/' $manifest
steps 9 1
says "${changed}" "another build of backend/cpu; another build of dataset/synthetic"
echo "no manifest" >$manifest
steps 10 1
says "manifest.json cannot be read"

"$tools/json_lines" */smoke/0/metrics.jsonl */smoke/0/timing.jsonl || fail "the metrics are no JSON"
