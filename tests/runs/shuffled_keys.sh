#!/usr/bin/env bash
# shuffled_keys.sh BUILD_FOLDER: MoCo's queue and the order in which keys are shuffled belong to the
# step, not to the process: a run that is interrupted inside epochs, also before the queue has been
# filled once, ends with the same bits as one that is not.
. "$(dirname "$0")/run_kit.sh" "$1"

# The queue holds four batches; an epoch has ten steps.
cat >experiment.toml <<END
extends = "$source_folder/plugins/methods/moco/test.toml"
[run]
epochs = 2
steps = 0
metric_steps = 1
threads = 2
[data]
count = 160
END

run 0 run experiment.toml run.out=straight
for steps in 3 13 0; do
    run 0 run experiment.toml run.out=stopped run.steps=$steps
done
grep -q "resuming at step 13 of 20" out || fail "the run did not go on"

train_lines() {
    grep '"kind": "train"' "$1/smoke/0/metrics.jsonl"
}
diff <(train_lines straight) <(train_lines stopped) >&2 || fail "the steps are not the same"
difference=$("$tools/safetensors_diff" {straight,stopped}/smoke/0/checkpoints/last.safetensors |
    grep -v '^wisp\.\(facts\|results\): ') # a part ends with a probe of its own
[ -z "$difference" ] || fail "weights or queue are not the same: $difference"
for state in queue queue.cursor; do
    head -c 100000 straight/smoke/0/checkpoints/last.safetensors | grep -qa "\"state\.$state\"" ||
        fail "the checkpoint has no $state"
done
