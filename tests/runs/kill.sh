#!/usr/bin/env bash
# kill.sh BUILD_FOLDER [SEED]: a run that is killed at 20 random moments and goes on each time ends
# with the same bits as one that was never stopped, and leaves nothing behind.
. "$(dirname "$0")/run_kit.sh" "$1"
seed=${2:-$((10#$(date +%N) % 32768))}
echo "seed $seed"
RANDOM=$seed

cat >experiment.toml <<END
extends = "$base"
[run]
epochs = 2
steps = 0
batch = 16
metric_steps = 1
threads = 1
workers = 1
checkpoint_minutes = 0.0005
checkpoint_epochs = 1
baselines = true
[data]
count = 160
[[probe]]
use = "linear"
[[task]]
use = "knn"
k = 5
[[task]]
use = "linear_probe"
epochs = 2
batch = 64
augment = true
END

now_ms() {
    echo $(($(date +%s%N) / 1000000))
}

started=$(now_ms)
run 0 run experiment.toml run.out=straight
length=$(($(now_ms) - started))
echo "a straight run takes $length ms"

# Moments are drawn over the length of a run; one that ends before its moment comes is compared, and
# the kills go on with a new one. How busy the machine is changes, and the length with it.
kills=0
runs=1

compare() {
    same_runs straight/smoke/0 killed_$runs/smoke/0
    grep -q "trained" out || fail "the run did not come to its end"
}

while [ $kills -lt 20 ]; do
    moment=$((RANDOM * length / 32768))
    started=$(now_ms)
    code=0
    "$wisp" run experiment.toml run.out=killed_$runs >out 2>err &
    pid=$!
    (sleep "$((moment / 1000)).$(printf %03d $((moment % 1000)))" && exec kill -KILL $pid) &
    wait $pid 2>/dev/null || code=$?
    kill $! 2>/dev/null
    wait $! 2>/dev/null
    case $code in
    0)
        compare
        runs=$((runs + 1))
        length=$(((length + $(now_ms) - started) / 2))
        ;;
    137) kills=$((kills + 1)) ;;
    *) fail "exit code $code when the run went on" ;;
    esac
done
run 0 run experiment.toml run.out=killed_$runs
compare
echo "$kills kills, $runs runs"
