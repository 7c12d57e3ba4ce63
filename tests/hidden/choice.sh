#!/usr/bin/env bash
# choice.sh BUILD_FOLDER: run.device and --device: the best backend that has a device, what is said of
# one that has none, and what is wrong with a name or an index.
. "$(dirname "$0")/hidden_kit.sh" "$1"

# takes DEVICE: `check` tells which one it is.
takes() {
    run 0 check experiment.toml
    grep -q "^# device: $1: " out || fail "this is not taken: $1"
}
export CUDA_VISIBLE_DEVICES= # a graphics processor would be the best
takes cpu
grep -q "hidden" err && fail "a backend that is not wanted is spoken of"
WISP_HIDDEN_SCORE=20 takes hidden
WISP_HIDDEN_DEVICES=0 WISP_HIDDEN_SCORE=20 takes cpu
says "wisp: running on cpu (" "hidden: it is too well hidden"
[ "$(grep -c "too well hidden" err)" = 1 ] || fail "it is said more than once"

WISP_HIDDEN_DEVICES=0 run 2 run experiment.toml run.device=hidden
says 'run.device = "hidden": it is too well hidden'
run 2 run experiment.toml run.device=hidden:1
says 'run.device = "hidden:1": there is no device of this number'
WISP_HIDDEN_DEVICES=2 run 0 check experiment.toml run.device=hidden:1
grep -q "^# device: hidden: device 1" out || fail "the second device is not taken"
run 2 run experiment.toml run.device=cpu:x
says 'run.device = "cpu:x": write auto, cpu, cuda or cuda:1'
run 2 run experiment.toml run.device=abacus
says 'run.device = "abacus": ' 'no backend plugin "abacus"'
if ! [ -f "$build/plugins/wisp-backend-cuda.so" ]; then
    run 2 run experiment.toml run.device=cuda:1
    says 'run.device = "cuda:1": this wisp was built without the backend cuda, which needs nvcc'
fi

run 0 ops test binary --device hidden:0
grep -q " 0 failed, 0 skipped, 0 without a kernel" out || fail "the kernels give other results"
run 0 ops perf binary --device hidden
WISP_HIDDEN_DEVICES=0 run 2 ops test binary --device hidden
says '--device "hidden": it is too well hidden'
