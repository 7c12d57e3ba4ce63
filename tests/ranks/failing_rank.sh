#!/usr/bin/env bash
# failing_rank.sh BUILD_FOLDER: a rank that is killed ends the others at once, and it is named; one
# that is asked to stop stops all of them after the same step. Either run goes on with another number
# of ranks, and ends as one that a single process trained without a stop.
. "$(dirname "$0")/rank_kit.sh" "$1"

# begin N: a run without an end in sight, in the background; pid is mpirun's. Returns once it trains.
begin() {
    mpirun --oversubscribe --bind-to none -np "$1" "$wisp" run tiny.toml run.out=long \
        run.steps=0 run.epochs=100000 run.checkpoint_minutes=0.005 >out 2>err &
    pid=$!
    before=$(trained)
    wait_for trains || fail "the run does not train"
}

trained() {
    grep -c '"kind": "train"' long/smoke/0/metrics.jsonl 2>/dev/null || true
}

trains() {
    [ -f long/smoke/0/checkpoints/last.safetensors ] && [ "$(trained)" -gt $((${before:-0} + 5)) ]
}

# rank_pid RANK: the process of that rank.
rank_pid() {
    local child
    for child in $(pgrep -P $pid -x wisp); do
        tr '\0' '\n' <"/proc/$child/environ" | grep -qx "OMPI_COMM_WORLD_RANK=$1" && echo "$child"
    done
}

# any_lives PID...: one of them runs; what is dead and waits for its parent does not.
any_lives() {
    local process
    for process; do
        grep -q '^State:.[^ZX]' "/proc/$process/status" 2>/dev/null && return 0
    done
    return 1
}

# ends KILL...: kill is called so, and within 30 s mpirun and all ranks end.
ends() {
    local start=$SECONDS code=0 ranks
    ranks=$(pgrep -P $pid -x wisp)
    kill "$@" || fail "there is no such rank"
    while kill -0 $pid 2>/dev/null || any_lives $ranks; do
        [ $((SECONDS - start)) -lt 30 ] || fail "the others did not end within 30 s"
        sleep 0.1
    done
    wait $pid || code=$?
    [ $code != 0 ] || fail "exit code 0"
    echo "ended after $((SECONDS - start)) s"
}

write_tiny tiny <<END
END
begin 2
ends -9 "$(rank_pid 1)"
says "process rank 1" "signal 9"

begin 4 # the killed run goes on
grep -q "resuming at step" out || fail "the killed run began anew"
ends -TERM "$(rank_pid 2)"
says "stopped at step"
[ "$(grep -o 'stopped at step [0-9]*' err | sort -u | wc -l)" = 1 ] || fail "they stopped at several steps"

# Seven steps on two ranks, six on four, the rest on one: the losses of one process.
write_tiny straight <<END
[backbone]
depth = 10
[method]
teacher_temperature = 0.5
teacher_temperature_start = 0.5
student_temperature = 0.5
END
run 0 run straight.toml
ranks 0 2 run straight.toml run.out=parts run.steps=7
ranks 0 4 run straight.toml run.out=parts run.steps=13
grep -q "resuming at step 7 of 13" out || fail "four ranks did not go on"
says "ranks 2 before, now 4"
run 0 run straight.toml run.out=parts
same_losses straight parts
grep -q '"ranks": 4' parts/smoke/0/manifest.json || fail "the manifest does not tell of four ranks"
