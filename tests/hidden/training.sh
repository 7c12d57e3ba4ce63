#!/usr/bin/env bash
# training.sh BUILD_FOLDER: on a device whose memory the host cannot touch, runs have the bits that
# they have on the cpu: metrics, checkpoints, results of probes and tasks; uploads early or late, and
# without any; stopped and resumed; with a smaller last batch; judged and exported afterwards.
. "$(dirname "$0")/hidden_kit.sh" "$1"

# on_all ARGUMENTS...: the run `cpu` against the same on the other devices.
on_all() {
    local how
    rm -rf cpu hidden late hidden_old
    run 0 run experiment.toml run.device=cpu run.out=cpu "$@"
    for how in hidden hidden_old; do
        run 0 run experiment.toml run.device=$how run.out=$how "$@"
        same_runs cpu/smoke/0 $how/smoke/0
    done
    WISP_HIDDEN=late run 0 run experiment.toml run.device=hidden run.out=late "$@"
    same_runs cpu/smoke/0 late/smoke/0
    echo "the same: $*"
}

on_all
for device in cpu hidden; do
    run 0 eval $device/smoke/0 experiment.toml run.device=$device
    mv out $device.judged
    run 0 export $device/smoke/0 $device.safetensors --format wisp
done
diff cpu.judged hidden.judged >&2 || fail "stored weights are judged in another way"
"$tools/safetensors_diff" {cpu,hidden}.safetensors >&2 || fail "what is exported differs"

# Labels, a smaller last batch, two classifiers beside the method; in bf16 where there is any.
cat >>experiment.toml <<END
[method]
use = "supervised"
[sampler]
global = { count = 1, size = 16 }
local = { count = 0 }
END
sed -i 's/^metric_steps = 1/&\ndrop_last = false/' experiment.toml
precision=f32
"$wisp" check experiment.toml run.precision=bf16 >out 2>err && precision=bf16
on_all run.precision=$precision

# Stopped and resumed, the run is the one that was never stopped.
for steps in 3 9 0; do
    run 0 run experiment.toml run.precision=$precision run.device=hidden run.out=parts run.steps=$steps
done
diff <(train_lines cpu) <(train_lines parts) >&2 || fail "the steps of an interrupted run are others"
