# rank_kit.sh BUILD_FOLDER - what the tests of several processes share; to be sourced. Small networks
# on one thread each, so that many ranks pass on few processors.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
# Open MPI gives back not all of its memory; ours is watched by the tests of one process.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"
command -v mpirun >/dev/null || { echo "SKIPPED: there is no mpirun (openmpi-bin)"; exit 77; }
[ -f "$1/plugins/wisp-comm-mpi.so" ] || {
    echo "SKIPPED: comm/mpi was not built (libopenmpi-dev)"
    exit 77
}
. "$(dirname "${BASH_SOURCE[0]}")/../runs/run_kit.sh" "$1"

# ranks CODE N ARGUMENTS...: wisp in N processes; mpirun's exit code must be CODE, `any` is any but 0.
ranks() {
    local wanted=$1 n=$2 code=0
    shift 2
    mpirun --oversubscribe --bind-to none -np "$n" "$wisp" "$@" >out 2>err || code=$?
    [ "$code" = "$wanted" ] || { [ "$wanted" = any ] && [ "$code" != 0 ]; } ||
        fail "exit code $code instead of $wanted: $n ranks of wisp $*"
}

# write_tiny NAME: NAME.toml, 20 steps in folder NAME/smoke/0, with more lines from the input.
write_tiny() {
    {
        cat <<END
extends = "$base"
[run]
threads = 1
workers = 0
epochs = 5
steps = 20
metric_steps = 1
out = "$1"
[optimizer]
use = "sgd"
weight_decay = 0
lr = 1e-2
END
        cat
    } >$1.toml
}

# same_losses A B: the losses of two run folders agree within 1e-5, step by step.
same_losses() {
    paste <(losses "$1") <(losses "$2") | awk -v a="$1" -v b="$2" '
        { d = $1 - $2; if (d < 0) d = -d; d /= $1 < 0 ? -$1 : $1; if (d > most) most = d; n++ }
        END { printf "%s, %s: %d steps, losses differ by %.1e at most\n", a, b, n, most
              exit !(n == 20 && most <= 1e-5) }' ||
        fail "the losses of $1 and $2 differ"
}

losses() {
    sed -n '/"kind": "train"/s/.*"loss": \([^,]*\),.*/\1/p' "$1/smoke/0/metrics.jsonl"
}
