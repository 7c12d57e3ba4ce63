#!/usr/bin/env bash
# compare.sh BUILD_FOLDER: wisp compare makes runs beside each other, is stopped, killed and fails,
# goes on run by run, leaves no process behind, and gathers what a cluster ran.
. "$(dirname "$0")/run_kit.sh" "$1"

write_smoke a <<END
epochs = 5
steps = 0
metric_steps = 1
[[probe]]
use = "knn"
k = 3
END
cat >b.toml <<'END'
extends = "a.toml"
[sampler]
use = "sslight"
global = { count = 2, size = 16 }
local = { count = 2, scale = [0.05, 0.3] }
END
export CUDA_VISIBLE_DEVICES=

# processes NAME: how many runs of that comparison there are.
processes() {
    pgrep -fc "run $work/.*/$1/.*run.seed" || true
}
none_left() {
    [ "$(processes "$1")" = 0 ]
}
compare() { # CODE ARGUMENTS...
    run "$1" compare "${@:2}" --out "$work/out dir"
}
folder="$work/out dir"

# --- to the end, and again ---

compare 0 a.toml b.toml --seeds 2 --jobs 2 --name ab
for text in "A  a" "sampler.use  " '"multicrop"' '"sslight"' "4 runs (2 arms, 2 seeds)" "B/1 is done"; do
    grep -qF -- "$text" out || fail "this is not printed: $text"
done
for run in A/0 A/1 B/0 B/1; do
    grep -q '"kind": "task"' "$folder/ab/$run/metrics.jsonl" || fail "$run was not judged"
done
cmp <(grep -v '^\(seed\|out\|name\|workers\)' "$folder/ab/A.toml") \
    <(grep -v '^\(seed\|out\|name\|workers\)' "$folder/ab/A/1/config.toml") >&2 ||
    fail "A.toml is not what was run"
cp "$folder/ab/comparison.json" first.json
before=$(stat -c %Y.%i "$folder"/ab/*/*/checkpoints/last.safetensors)
compare 0 a.toml b.toml --seeds 2 --jobs 2 --name ab
grep -q "4 done before" out || fail "finished runs are not known"
[ "$before" = "$(stat -c %Y.%i "$folder"/ab/*/*/checkpoints/last.safetensors)" ] ||
    fail "a finished run was run again"
cmp first.json "$folder/ab/comparison.json" >&2 || fail "the same runs give another comparison"
compare 0 a.toml b.toml --seeds 2 --name ab --json
cmp out "$folder/ab/comparison.json" >&2 || fail "--json is not comparison.json"

# A third seed and a third arm join; what is there stays. Another arm A is refused.
compare 0 a.toml b.toml a.toml --set C:optimizer.lr=2e-3 --seeds 1,2 --jobs 2 --name ab
grep -q "6 runs (3 arms, 2 seeds).* 2 done before" out || fail "arms and seeds do not join"
compare 2 a.toml b.toml optimizer.lr=3e-3 --seeds 2 --name ab
says "A.toml holds" "lr = 0.001" "lr = 0.003" "another --name"
sed -i 's/^lr = 0.001/lr = 0.5/' "$folder/ab/A/0/config.toml"
compare 2 a.toml b.toml --seeds 2 --name ab
says "ab/A/0 holds a run with another configuration" "lr = 0.5"

# Of a finished run that was damaged since, the others are still told.
compare 0 a.toml a.toml run.steps=4 --seeds 2 --name damaged
echo '{"kind": ' >>"$folder/damaged/B/1/metrics.jsonl"
compare 0 a.toml a.toml run.steps=4 --seeds 2 --name damaged
says "damaged/B/1 is left out: " "metrics.jsonl:" "remove it to have it made again"
grep -q "missing: B seed 1" out || fail "it is not missing"

# Runs of other lengths are no pairs, and what differs in its length is not equal.
compare 0 a.toml a.toml run.steps=4 --seeds 1 --name lengths
grep -q "A and B are the same experiment: their runs will be equal" out || fail "equal arms are not known"
compare 2 a.toml a.toml run.steps=3 --seeds 2 --name lengths
says "lengths/A/0 has trained for 4 steps, and a run would now end after 3" "run.steps as before"
compare 0 a.toml --set B:run.steps=3 --seeds 1 --name short
grep -q "are the same experiment" out && fail "arms of other lengths are called equal"
compare 2 a.toml b.toml --seeds 2 --name nothing --seed-offset B:4294967295
says "--seed-offset makes a seed above"
[ ! -e "$folder/nothing" ] || fail "a call that is wrong leaves a folder"

# --- stopped, locked, killed ---

long="run.epochs=100000 run.probe_epochs=100000"
start() { # NAME CONDITION: in the background, until it holds
    # shellcheck disable=SC2086
    "$wisp" compare a.toml b.toml $long --seeds 2 --jobs 2 --out "$folder" --name "$1" >out 2>err &
    pid=$!
    wait_for "$2" "$1" || fail "the runs do not come to a step"
}
go_on() {
    grep -q "resuming at step" "$folder/$1/logs/A-0.log" &&
        grep -q "resuming at step" "$folder/$1/logs/B-0.log"
}
steps_made() {
    grep -qs '"step": [0-9][0-9]' "$folder/$1/A/0/metrics.jsonl" &&
        grep -qs '"step": [0-9][0-9]' "$folder/$1/B/0/metrics.jsonl"
}
start stopped steps_made
# shellcheck disable=SC2086
"$wisp" compare a.toml b.toml $long --seeds 2 --out "$folder" --name stopped >out2 2>err2
[ $? = 1 ] && grep -q "is in use by another process" err2 || fail "a second one is not refused"
kill -INT $pid
code=0
wait $pid || code=$?
[ $code = 1 ] || fail "exit code $code after SIGINT"
grep -q "stopping: 2 runs end on a checkpoint" out || fail "it does not say that it stops"
none_left stopped || fail "runs outlive the comparison"
for arm in A B; do
    grep -q "stopped at step" "$folder/stopped/logs/$arm-0.log" || fail "$arm/0 ended on no checkpoint"
    [ -e "$folder/stopped/$arm/0/checkpoints/last.safetensors" ] || fail "$arm/0 has no checkpoint"
done
at=$(sed -n 's/.*stopped at step \([0-9]*\) .*/\1/p' "$folder/stopped/logs/A-0.log")

start stopped go_on # the runs go on, and are left behind by a killed parent
grep -q "resuming at step $at " "$folder/stopped/logs/A-0.log" || fail "A/0 did not go on from $at"
kill -9 $pid
wait $pid 2>/dev/null
for ((i = 0; i < 500; i++)); do
    none_left stopped && break
    sleep 0.02
done
none_left stopped || fail "runs outlive a parent that was killed"
[ "$(grep -c "stopped at step" "$folder/stopped/logs/B-0.log")" = 2 ] ||
    fail "a run of a killed parent does not end on a checkpoint"

# --- a run that fails ---

mkdir -p "$folder/one/B/0"
echo "in the way" >"$folder/one/B/0/checkpoints"
compare 1 a.toml b.toml --seeds 2 --jobs 2 --name one
says "B/0 failed: exit code 1" "logs/B-0.log" "cannot make the run folder"
grep -q "3 of 4 runs are done; the same command goes on with the others" out || fail "it is not told"
rm "$folder/one/B/0/checkpoints"
compare 0 a.toml b.toml --seeds 2 --jobs 2 --name one
grep -q "3 done before" out || fail "it does not go on with what failed"

# --- devices ---

hidden=$build/tests/hidden
if [ -e "$hidden/wisp-backend-hidden.so" ]; then
    export WISP_HIDDEN_DEVICES=2
    compare 0 a.toml b.toml --seeds 1 --devices hidden:0,hidden:1 --plugin-path "$hidden" --name dealt
    grep -q "2 at a time" out || fail "there is not one run on each device"
    used=$(sed -n 's/^device = "\(.*\)"/\1/p' "$folder"/dealt/[AB]/0/config.toml | sort | tr '\n' ' ')
    [ "$used" = "hidden:0 hidden:1 " ] || fail "runs were made on: $used"
    # It goes on wherever there is room.
    compare 0 a.toml b.toml --seeds 1 --devices hidden:1,hidden:0 --plugin-path "$hidden" --name dealt
    grep -q "2 done before" out || fail "runs of another device are not known"
    unset WISP_HIDDEN_DEVICES
fi

# --- a job array ---

compare 0 a.toml b.toml --seeds 2 --emit slurm --name array --jobs 3
script="$folder/array/slurm.sh"
grep -qF "4 runs are left: sbatch '$script'" out || fail "it does not say what to submit"
bash -n "$script" || fail "the script is no shell script"
grep -q '^#SBATCH --array=0-3%3$' "$script" || fail "the array has other tasks"
[ ! -e "$folder/array/A/0" ] || fail "a run was made"
compare 0 a.toml b.toml --set A:run.threads=1 B:run.threads=3 --seeds 1 --emit slurm --name wide
grep -q '^#SBATCH --cpus-per-task=3$' "$folder/wide/slurm.sh" || fail "the larger runs have too few processors"
for task in 0 1 3; do
    (cd / && SLURM_ARRAY_TASK_ID=$task bash "$script") || fail "task $task fails"
done
compare 0 a.toml b.toml --seeds 2 --emit slurm --name array
grep -q '1 runs are left' out || fail "it does not see what is left"
grep -q '^#SBATCH --array=0-0$' "$script" || fail "the array has other tasks than those that are left"
[ "$(cd / && env -u SLURM_ARRAY_TASK_ID bash "$script" 2>&1 | grep -c "is set in a task")" = 1 ] ||
    fail "the script runs outside of an array"
(cd / && SLURM_ARRAY_TASK_ID=0 bash "$script") || fail "the last task fails"
compare 0 a.toml b.toml --seeds 2 --emit slurm --name array
grep -q "4 done before" out || fail "the array's results are not gathered"
same_runs "$folder/one/A/1" "$folder/array/A/1"
same_runs "$folder/one/B/0" "$folder/array/B/0"
echo done
