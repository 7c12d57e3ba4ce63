#!/usr/bin/env bash
# health.sh BUILD_FOLDER: collapses that are planted are told of once, with their cause, and end the run
# on a healthy checkpoint where they shall; a healthy run is left alone. Measuring changes no weight.
. "$(dirname "$0")/run_kit.sh" "$1"

# health NAME: its lines of kind health.
health() {
    grep '"kind": "health"' $1/smoke/0/metrics.jsonl
}

# collapses NAME METRIC WORDS: it was told of once, about this metric, in the log and in the metrics.
collapses() {
    says "the training has collapsed: $3" "What may help:"
    [ "$(grep -c "has collapsed" err)" = 1 ] || fail "$1: it does not warn just once"
    [ "$(health $1 | wc -l)" = 1 ] || fail "$1: not one line of kind health"
    health $1 | grep -q "\"since\": [0-9]*, \"$2\": [-0-9.e]*, \"words\": \"the training has collapsed: $3" ||
        fail "$1: the line does not tell of $2"
    "$tools/json_lines" $1/smoke/0/metrics.jsonl || fail "$1: the metrics are no JSON"
}

is_healthy() {
    grep -q "collapsed" err && fail "$1: a healthy run is warned of"
    health $1 && fail "$1: a healthy run has a line of kind health"
    return 0
}

# step_of NAME CHECKPOINT
step_of() {
    head -c 200000 $1/smoke/0/checkpoints/$2.safetensors | grep -ao '{\\"step\\": [0-9]*' | grep -o '[0-9]*$'
}

# same_tensors A B: of the last checkpoints.
same_tensors() {
    local difference
    difference=$("$tools/safetensors_diff" {$1,$2}/smoke/0/checkpoints/last.safetensors |
        grep -v '^wisp\.\(facts\|results\): \|^[0-9]* tensors are the same$')
    [ -z "$difference" ] || fail "$1 and $2 have other tensors: $difference"
}

# --- a healthy run, and the same without measuring ---
train healthy <<END
epochs = 100
steps = 260
END
is_healthy healthy
[ "$(step_of healthy healthy)" = 260 ] || fail "the end of a healthy run is not kept as healthy"
run 0 run healthy.toml run.out=ignored run.on_collapse=ignore
grep -q "embedding_" ignored/smoke/0/metrics.jsonl && fail "embeddings are measured though ignored"
[ -e ignored/smoke/0/checkpoints/healthy.safetensors ] && fail "a healthy checkpoint though ignored"
same_tensors healthy ignored

# --- collapses that are told of ---

# Nothing sharpens the teacher.
train uniform <<END
epochs = 100
steps = 260
[method]
teacher_temperature = 50
teacher_temperature_start = 50
END
collapses uniform teacher_entropy "the teacher gives every output the same probability"
says "lower teacher_temperature"
health uniform | grep -q '"step": 200, "since": 0, ' || fail "it is told of at another step"

# One picture of one colour under many names: no network can tell them apart.
mkdir -p solid/a solid/b
base64 -d >solid/a/0.png <<<"iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAFklEQVR42mNwaDhAEmIY1TCqYfhqAACldYAQpric7gAAAABJRU5ErkJggg=="
for i in {0..31}; do
    for name in solid/{a,b}/$i.png; do
        [ -e $name ] || cp solid/a/0.png $name
    done
done
solid='[data]
use = "image_folder"
path = "solid"
[test]
use = "image_folder"
path = "solid"
[sampler]
use = "multicrop"
global = { count = 2, size = 16, blur = [0.0], solarize = [0.0] }
local = { count = 0 }
jitter = 0.0
gray = 0.0
'
train same run.epochs=100 run.steps=220 <<<"$solid"'[method]
use = "moco"
out_dim = 16
hidden_dim = 32
queue_length = 64'
collapses same embedding_std "the embeddings of all images point the same way"
# Keys of before lie a little elsewhere than those of now, hence not just ln 65.
train_lines same | tail -n 1 | sed 's/.*"loss_global": \([0-9.]*\).*/\1/' |
    awk '{ exit !($1 > 3.95 && $1 < 4.18) }' || fail "the loss is not near ln 65"

# The same of a method that says nothing of its numbers.
train mute run.epochs=100 run.steps=220 <<<"${solid/count = 2/count = 1}"'[method]
use = "supervised"'
collapses mute embedding_std "the embeddings of all images point the same way"

# --- a collapse after a healthy beginning: steps 0 to 119 ---
write_smoke late <<END
epochs = 100
steps = 360
[schedule.teacher_temperature]
kind = "step"
value = 0.04
warmup_epochs = 0
gamma = 1000
milestones = [30]
END
run 0 run late.toml
collapses late teacher_entropy "the teacher gives every output the same probability"
health late | grep -q '"step": 320, "since": 120, ' || fail "it is told of at another step"
[ "$(step_of late healthy)" = 120 ] || fail "the healthy checkpoint is not of step 120"

run 0 run late.toml run.out=stopped run.steps=250
run 0 run late.toml run.out=stopped
diff <(health late) <(health stopped) >&2 || fail "a run that was stopped in between tells something else"
same_tensors late stopped

run 1 run late.toml run.out=ended run.on_collapse=stop
collapses ended teacher_entropy "the teacher gives every output the same probability"
says "stopped at step 320" "is the last healthy state, of step 120" "[[init]] weights"
for name in last previous healthy; do
    [ "$(step_of ended $name)" = 120 ] || fail "$name.safetensors is not of step 120"
done
run 0 run late.toml run.out=short run.steps=120
same_tensors short ended
run 0 eval ended/smoke/0 late.toml --json

# The same again, to the last byte; and on, when it may.
cp -r ended again
run 1 run late.toml run.out=again run.on_collapse=stop
grep -q "resuming at step 120" out || fail "it does not go on from the healthy state"
cmp {ended,again}/smoke/0/metrics.jsonl >&2 || fail "the second time is another"
run 0 run late.toml run.out=again run.on_collapse=warn
cmp {late,again}/smoke/0/metrics.jsonl >&2 || fail "it does not end as a run that only warned"
same_tensors late again

# --- values that are not finite ---
for mode in warn stop ignore; do
    run 1 run healthy.toml run.out=nan_$mode run.on_collapse=$mode 'optimizer.use="sgd"' optimizer.lr=1e4 optimizer.weight_decay=100
    says "finite"
    [ "$(health nan_$mode | wc -l)" = $([ $mode = ignore ]; echo $?) ] || fail "lines of kind health: on_collapse = $mode"
done
health nan_warn | grep -q '"words": ".*not finite' || fail "the line does not tell what it was"
[ "$(step_of nan_stop last)" = 0 ] || fail "a run that fails at once does not end where it began"
