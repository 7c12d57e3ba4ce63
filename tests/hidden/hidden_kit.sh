# hidden_kit.sh BUILD_FOLDER - what the tests on the hidden backend share; to be sourced.
. "$(dirname "${BASH_SOURCE[0]}")/../runs/run_kit.sh" "$1"
export WISP_PLUGIN_PATH=$build/tests/hidden
# Few samples are embedded at a time, so that evaluation takes several runs of its programs.
cat >experiment.toml <<END
extends = "$base"
[run]
threads = 1
workers = 1
epochs = 3
steps = 0
metric_steps = 1
[input]
eval_batch = 16
[data]
count = 100
[[probe]]
use = "linear"
[[probe]]
use = "knn"
k = 3
END
