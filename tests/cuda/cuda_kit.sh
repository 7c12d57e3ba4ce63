# cuda_kit.sh BUILD_FOLDER - what the tests of the cuda backend share; to be sourced. They run on the
# software device (tests/softgpu), or with WISP_REAL_GPU=1 on the machine's GPU.
. "$(dirname "${BASH_SOURCE[0]}")/../runs/run_kit.sh" "$1"
. "$source_folder/tests/tiny_experiments.sh"
if [ -z "${WISP_REAL_GPU:-}" ]; then
    export LD_LIBRARY_PATH=$build/softgpu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    export WISP_PLUGIN_PATH=$build/softgpu/plugins
    # It is a test of the plugin, not of what the plugin tells a user without a GPU.
    "$wisp" ops support fill --backend cuda >out 2>err || fail "the software device does not open"
elif ! "$wisp" ops support fill --backend cuda >out 2>err; then
    echo "SKIPPED: $(head -n 1 err)"
    exit 77
fi
