#!/usr/bin/env bash
# steady_step.sh BUILD_FOLDER: a steady step is one graph and the copies around it: no memory is asked
# for and the device is not waited for, as the software device's trace of all calls tells.
. "$(dirname "$0")/cuda_kit.sh" "$1"
[ -z "${WISP_REAL_GPU:-}" ] || { echo "SKIPPED: the trace is the software device's"; exit 77; }
write_tiny dino </dev/null

# steady OVERRIDES...: what is called from the second to the fifteenth launch of a graph, all in training.
steady() {
    rm -rf trace dino
    WISP_SOFTGPU_TRACE=$PWD/trace run 0 run dino.toml run.device=cuda run.metric_steps=100 \
        run.epochs=1 data.count=640 "$@"
    awk '/cuGraphLaunch/ { n++ } n >= 2 && n < 15 { print $1 }' trace >steady
    [ "$(grep -c cuGraphLaunch steady)" -ge 13 ] || fail "steps are not replayed as graphs"
    echo "13 steps with ${*}:"
    sort steady | uniq -c | sort -rn
    for call in cuMem.*Alloc cuMemFree cuStreamSynchronize library; do
        ! grep -q "$call" steady || fail "a steady step calls $call $(grep -c "$call" steady) times"
    done
}

# launches MOST: kernels outside of the graph, a step.
launches() {
    [ "$(grep -c cuLaunchKernel steady)" -le $((13 * $1)) ] || fail "more than $1 kernels a step beside the graph"
}

steady run.views=host
launches 0
steady run.views=device
launches 4 # the views, however many images there are
