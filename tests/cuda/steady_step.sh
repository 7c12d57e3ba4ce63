#!/usr/bin/env bash
# steady_step.sh BUILD_FOLDER: a steady step is one graph and the copies around it: no memory is asked
# for and the device is not waited for, as the software device's trace of all calls tells.
. "$(dirname "$0")/cuda_kit.sh" "$1"
[ -z "${WISP_REAL_GPU:-}" ] || { echo "SKIPPED: the trace is the software device's"; exit 77; }
write_tiny dino </dev/null
export WISP_SOFTGPU_TRACE=$PWD/trace
run 0 run dino.toml run.device=cuda run.metric_steps=100
grep -q cuGraphLaunch trace || fail "no step was replayed as a graph"
# Between the first and the last launch of the training step's graph.
awk '/cuGraphLaunch/ { if (n++) for (i = 0; i < m; i++) print held[i]; m = 0; next } n { held[m++] = $1 }' trace >steady
sort steady | uniq -c | sort -rn
for call in cuMemAllocAsync cuMemFreeAsync cuMemHostAlloc cuLaunchKernel cuStreamSynchronize; do
    ! grep -q "$call" steady || fail "a steady step calls $call $(grep -c $call steady) times"
done
