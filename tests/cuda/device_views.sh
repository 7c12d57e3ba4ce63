#!/usr/bin/env bash
# device_views.sh BUILD_FOLDER: the cuda backend makes Pillow's views, those of a feed's plans on photographs,
# and in whole trainings those of the host, whatever the number of workers.
. "$(dirname "$0")/cuda_kit.sh" "$1"
for name in test_make_views test_view_maker; do
    (cd "$source_folder" && WISP_TEST_DEVICE=cuda "$build/tests/$name") >out 2>err ||
        fail "$name on the cuda backend"
    grep -E "differ" out
done
cat >experiment.toml <<END
extends = "$base"
[run]
threads = 1
steps = 3
metric_steps = 1
[sampler]
global = { count = 2, size = 16, blur = [1.0, 0.5], solarize = [0.5] }
local = { count = 3, size = 12 }
END
run 0 run experiment.toml run.device=cuda run.views=host run.out=host
for workers in 0 3; do
    run 0 run experiment.toml run.device=cuda run.views=device run.workers=$workers run.out=device.$workers
    same_runs host/smoke/0 device.$workers/smoke/0
    run 0 run experiment.toml run.device=cuda run.views=bytes run.workers=$workers run.out=bytes.$workers
    same_runs host/smoke/0 bytes.$workers/smoke/0
done
