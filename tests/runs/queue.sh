#!/usr/bin/env bash
# queue.sh BUILD_FOLDER: SwAV's queue is part of a checkpoint. A run that is interrupted while the
# queue fills and while it is used ends with the same bits as one that is not; the queue is used from
# the step on at which it is full, in the middle of an epoch.
. "$(dirname "$0")/run_kit.sh" "$1"

# 70 rows are cut to 64, four batches; ten steps an epoch.
cat >experiment.toml <<END
extends = "$source_folder/plugins/methods/swav/test.toml"
[run]
epochs = 2
steps = 0
metric_steps = 1
threads = 2
[data]
count = 160
[method]
queue_length = 70
queue_start = 1
END

run 0 run experiment.toml run.out=straight
for steps in 12 17 0; do
    run 0 run experiment.toml run.out=stopped run.steps=$steps
done
grep -q "resuming at step 17 of 20" out || fail "the run did not go on"

train_lines() {
    grep '"kind": "train"' "$1/smoke/0/metrics.jsonl"
}
diff <(train_lines straight) <(train_lines stopped) >&2 || fail "the steps are not the same"
difference=$("$tools/safetensors_diff" {straight,stopped}/smoke/0/checkpoints/last.safetensors)
[ "$difference" = "wisp.facts: other facts" ] || # results after each part
    fail "weights or queue are not the same: $difference"
used=$(train_lines straight | sed -n 's/.*"queue_used": \([01]\).*/\1/p' | tr -d '\n')
[ "$used" = 0000111111 ] || fail "the queue was used so in its epoch: $used"
for state in queue.0 queue.0.cursor queue.1 queue.1.cursor; do
    head -c 100000 straight/smoke/0/checkpoints/last.safetensors | grep -qa "\"state\.$state\"" ||
        fail "the checkpoint has no $state"
done
