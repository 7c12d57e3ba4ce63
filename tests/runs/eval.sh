#!/usr/bin/env bash
# eval.sh BUILD_FOLDER: judging the weights of a finished run gives what the run itself said; JSON;
# what may be wrong.
. "$(dirname "$0")/run_kit.sh" "$1"

cat >tasks.toml <<END
[[task]]
use = "knn"
k = 5
[[task]]
use = "linear_probe"
epochs = 3
batch = 32
augment = true
[[task]]
use = "linear_probe"
epochs = 3
batch = 32
augment = false
END
{
    cat <<END
extends = "$base"
[run]
epochs = 2
steps = 0
threads = 1
workers = 1
out = "runs"
[[probe]]
use = "linear"
END
    cat tasks.toml
} >experiment.toml

run 0 run experiment.toml
folder=runs/smoke/0
cp out said

# What `eval` says of WEIGHTS is what the run wrote to its metrics, to the last digit.
same_numbers() { # WEIGHTS KIND OF LINES
    run 0 eval "$1" tasks.toml --json
    "$tools/json_lines" <(tr -d '\n' <out && echo) >&2 || fail "eval --json gives no JSON"
    sed -n 's/^ *"value": \([0-9.]*\).*/\1/p' out | awk '{ printf "%.9g\n", $1 }' >evaluated
    sed -n "s/^{\"kind\": \"$2\".*_top_[15][a-z_]*\": \([0-9.]*\), .*/\1/p" $folder/metrics.jsonl >logged
    [ -s logged ] || fail "the run logged no $2"
    diff logged evaluated >&2 || fail "eval $1 gives other numbers than the run"
}
same_numbers $folder task
same_numbers $folder/checkpoints/last.safetensors task
cksum $folder/checkpoints/* >before
run 0 eval $folder tasks.toml
grep -q "^k-NN top-1: [0-9.]* %  {\"k\": 5" out || fail "eval does not say k-NN top-1"
run 0 eval $folder experiment.toml
says "table optimizer is not used"
cksum $folder/checkpoints/* | diff - before >&2 || fail "eval changed the checkpoints"

# A finished run that is asked again says its results as JSON, wherever its folder is.
cp -a runs 'a "quoted" folder'
run 0 run experiment.toml "run.out='a \"quoted\" folder'" --json
"$tools/json_lines" out >&2 || fail "run --json gives no JSON"
grep -qF '"folder": "a \"quoted\" folder/smoke/0", "step": 8, "results": [{' out ||
    fail "run --json says something else"

# Overrides apply to the file of tasks.
printf '[[task]]\nuse = "knn"\n' >other.toml
run 0 eval $folder other.toml task.0.k=3
grep -q '"k": 3' out || fail "the override is not used"

# --- what may be wrong ---

refused() { # CODE WEIGHTS FILE WORDS...
    local code=$1 weights=$2 file=$3
    shift 3
    run "$code" eval "$weights" "$file"
    [ ! -s out ] || fail "a refused eval says something"
    says "$@"
}
refused 2 runs/none tasks.toml "runs/none: there is no such run folder or checkpoint"
refused 2 $folder none.toml "none.toml"
: >empty.toml
refused 2 $folder empty.toml "no [[task]] table"
printf '[[task]]\nuse = "linear"\n' >probe_only.toml
refused 2 $folder probe_only.toml "linear can only be used as a [[probe]]"
printf '[[task]]\nuse = "knn"\nkk = 3\n' >unknown.toml
refused 2 $folder unknown.toml "unknown.toml:3:1" "kk"
mkdir no_run
refused 2 no_run tasks.toml "no_run/config.toml"
refused 2 $folder/metrics.jsonl tasks.toml "config.toml"
cp -a runs copy
truncate -s -1 copy/smoke/0/checkpoints/last.safetensors
refused 1 copy/smoke/0 tasks.toml "copy/smoke/0/checkpoints/last.safetensors" "truncated"
sed -i 's/^width = .*/width = 0.25/' copy/smoke/0/config.toml
cp $folder/checkpoints/last.safetensors copy/smoke/0/checkpoints/
refused 1 copy/smoke/0 tasks.toml "written by another configuration" "backbone.conv1.weight"
run 2 eval $folder
says "too few arguments"
