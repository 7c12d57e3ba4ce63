#!/usr/bin/env bash
# pixels.sh BUILD_FOLDER: `pixels` counts what the trained network was given, and nothing else: all views
# of DINO's student, but not the first view of MoCo's queries, which only the key encoder sees; the
# smaller batch at an epoch's end by its own size. It goes on where a stopped run was.
. "$(dirname "$0")/run_kit.sh" "$1"

# pixels_are NAME KIND STEP PIXELS
pixels_are() {
    grep -q "^{\"kind\": \"$2\", \"epoch\": [0-9]*, \"step\": $3, .*\"pixels\": $4, " $1/smoke/0/metrics.jsonl ||
        fail "$1: not $4 pixels at step $3 of kind $2"
}

probed=$'epochs = 2\nsteps = 0\nmetric_steps = 1\n[[probe]]\nuse = "knn"\nk = 5'
global=$((2 * 16 * 16)) local=$((2 * 8 * 8))

train dino <<<"$probed"
for step in 0 1 7; do
    pixels_are dino train $step $((step * 16 * (global + local)))
done
pixels_are dino probe 4 $((4 * 16 * (global + local)))
pixels_are dino probe 8 $((8 * 16 * (global + local)))
grep -q '"kind": "task".*"pixels"' dino/smoke/0/metrics.jsonl && fail "tasks tell pixels"

train dino run.out=stopped run.steps=3 <<<"$probed"
run 0 run dino.toml run.out=stopped run.steps=0
pixels_are stopped train 7 $((7 * 16 * (global + local)))
pixels_are stopped probe 8 $((8 * 16 * (global + local)))

train moco <<<"$probed"$'\n[method]\nuse = "moco"\nout_dim = 16\nhidden_dim = 32\nqueue_length = 64\nbatch_norm_groups = 2'
pixels_are moco train 7 $((7 * 16 * (global / 2 + local)))

# 64 images by 24: two whole batches and one of 16.
train rest run.batch=24 run.drop_last=false <<<"$probed"'
[sampler]
global = { count = 1, size = 16 }
local = { count = 0 }
[method]
use = "supervised"'
pixels_are rest train 5 $(((64 + 24 + 24) * global / 2))
