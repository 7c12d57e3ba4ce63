#!/usr/bin/env bash
# last_batch.sh BUILD_FOLDER: run.drop_last = false trains on what is left at the end of an epoch, as
# PyTorch's loaders do unless told otherwise; a run that is interrupted right there goes on with the
# same bits; a loss that couples the images of a batch is refused.
. "$(dirname "$0")/run_kit.sh" "$1"

cat >tail.toml <<END
extends = "$base"
[run]
epochs = 3
steps = 0
batch = 20
threads = 1
workers = 1
metric_steps = 1
drop_last = false
[sampler]
global = { count = 1, size = 16 }
local = { count = 0 }
[method]
use = "supervised"
[[probe]]
use = "linear"
[[probe]]
use = "classify"
END

# 64 images: three steps of 20 and one of 4 an epoch.
run 0 run tail.toml run.out=straight
losses() { grep '"kind": "train"' "$1/smoke/0/metrics.jsonl"; }
[ "$(losses straight | wc -l)" = 12 ] || fail "not four steps an epoch"
for steps in 4 7 8 0; do
    run 0 run tail.toml run.out=parts run.steps=$steps
done
diff <(losses straight) <(losses parts) >&2 || fail "the steps of an interrupted run are others"

# The whole batches of the first epoch are those without the rest.
run 0 run tail.toml run.out=whole run.drop_last=true
[ "$(losses whole | wc -l)" = 9 ] || fail "not three steps an epoch"
diff <(losses straight | head -n 3) <(losses whole | head -n 3) >&2 || fail "whole batches differ"
losses straight | sed -n 4p | grep -q '"linear_probe_loss": [0-9]' || fail "no probe in the last batch"

# A batch that the data set never fills is a batch all the same.
run 0 run tail.toml run.out=large run.batch=100
[ "$(losses large | wc -l)" = 3 ] || fail "not one step an epoch"
# 64 images and a batch of 64 are the same run, whichever way it is called.
run 0 run tail.toml run.out=fits run.batch=64
diff <(losses large) <(losses fits) >&2 || fail "a batch of all images is not the same as one that they fill"
run 2 run tail.toml run.out=none run.batch=100 run.drop_last=true
says "run.batch = 100 is larger than the data set, which has 64 images"

printf 'extends = "%s"\n[run]\nbatch = 20\ndrop_last = false\n' "$base" >coupled.toml
run 2 check coupled.toml
says "run.drop_last = false" "method dino"
run 0 check coupled.toml run.batch=16
