#!/usr/bin/env bash
# device_ranks.sh BUILD_FOLDER: comm/nccl between two processes on the software device. They find each
# other by what torchrun sets and train as one process does; what goes wrong at the meeting is named,
# and so is a rank that is killed.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"
[ -f "$1/softgpu/libnccl.so.2" ] && [ -f "$1/plugins/wisp-comm-nccl.so" ] || {
    echo "SKIPPED: there is no software device"
    exit 77
}
. "$(dirname "$0")/../runs/run_kit.sh" "$1"
. "$source_folder/tests/tiny_experiments.sh"
export LD_LIBRARY_PATH=$build/softgpu WISP_PLUGIN_PATH=$build/softgpu/plugins
export MASTER_ADDR=127.0.0.1 MASTER_PORT=$((20000 + $$ % 20000)) WISP_MEETING_SECONDS=60
write_all_tiny

# begin RANK SIZE ARGUMENTS...: one rank in the background; its words go to out.RANK and err.RANK, its
# number to pids.
declare -A pids
begin() {
    local rank=$1 size=$2
    shift 2
    RANK=$rank LOCAL_RANK=$rank WORLD_SIZE=$size "$wisp" run "$@" >out.$rank 2>err.$rank &
    pids[$rank]=$!
}

# ends RANK CODE TEXT...: its exit code, `any` is any but 0, and what it says.
ends() {
    local rank=$1 wanted=$2 code=0
    shift 2
    wait ${pids[$rank]} || code=$?
    cp out.$rank out
    cp err.$rank err
    [ "$code" = "$wanted" ] || { [ "$wanted" = any ] && [ "$code" != 0 ]; } ||
        fail "exit code $code of rank $rank instead of $wanted"
    [ $# = 0 ] || says "$@"
}

both() {
    begin 1 2 "$@"
    begin 0 2 "$@"
    ends 1 0
    ends 0 0
}

# Small buckets, several of which are under way at once, in graphs and call by call.
run 0 run dino_resnet.toml run.device=cuda
both dino_resnet.toml run.device=cuda run.out=two run.bucket_mb=0.01
same_losses dino_resnet two
! grep -q "not replayed as a graph" err || fail "two ranks make no graph"
both dino_resnet.toml run.device=cuda run.out=calls run.bucket_mb=0.01 run.capture=off
same_losses dino_resnet calls

# A rank that nobody waits for, too few, two of one number, two runs at one port.
begin 0 2 dino_resnet.toml run.device=cuda run.out=none
begin 1 3 dino_resnet.toml run.device=cuda run.out=none
ends 0 any "rank 1 was started as one of 3, rank 0 as one of 2"
ends 1 any "rank 0 sends this process away"
WISP_MEETING_SECONDS=1 begin 0 3 dino_resnet.toml run.device=cuda run.out=none
begin 1 3 dino_resnet.toml run.device=cuda run.out=none
ends 0 any "1 of 3 ranks did not come" "within 1 s: rank 2"
ends 1 any "got no answer there"
WISP_MEETING_SECONDS=1 begin 1 2 dino_resnet.toml run.device=cuda run.out=none
ends 1 any "rank 1 does not reach rank 0 at 127.0.0.1, port $MASTER_PORT"
begin 0 2 dino_resnet.toml run.device=cuda run.out=none
sleep 1
RANK=0 WORLD_SIZE=2 run 1 run dino_resnet.toml run.device=cuda run.out=none
says "cannot listen at port $MASTER_PORT" "another MASTER_PORT"
holder=${pids[0]} # as torchrun's own process, which says that it has the port
export TORCHELASTIC_USE_AGENT_STORE=True
both dino_resnet.toml run.device=cuda run.out=next
unset TORCHELASTIC_USE_AGENT_STORE
same_losses dino_resnet next
kill -9 $holder
wait $holder 2>/dev/null
RANK=2 WORLD_SIZE=2 run 2 run dino_resnet.toml run.device=cuda run.out=none
says "WORLD_SIZE is 2, but RANK is \"2\""
begin 1 2 dino_resnet.toml run.device=cpu run.comm=nccl run.out=none
begin 0 2 dino_resnet.toml run.device=cpu run.comm=nccl run.out=none
ends 0 any 'run.comm = "nccl" works on memory of cuda'
ends 1 any
[ ! -e none ] || fail "a run folder was made"

# Rank 1 is killed: rank 0 names it.
begin 1 2 dino_resnet.toml run.device=cuda run.out=killed run.steps=0 run.epochs=100000
begin 0 2 dino_resnet.toml run.device=cuda run.out=killed run.steps=0 run.epochs=100000
pid=${pids[0]}
trains() {
    local n
    n=$(grep -c '"kind": "train"' killed/smoke/0/metrics.jsonl 2>/dev/null)
    [ "${n:-0}" -gt 5 ]
}
wait_for trains || fail "the run does not train"
start=$SECONDS
kill -9 ${pids[1]}
ends 0 any "rank 1 is lost"
[ $((SECONDS - start)) -lt 30 ] || fail "rank 0 ended after $((SECONDS - start)) s only"
echo "rank 0 ended $((SECONDS - start)) s after rank 1"
