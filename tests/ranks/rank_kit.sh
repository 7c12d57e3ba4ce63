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
. "$source_folder/tests/tiny_experiments.sh"

# ranks CODE N ARGUMENTS...: wisp in N processes; mpirun's exit code must be CODE, `any` is any but 0.
ranks() {
    local wanted=$1 n=$2 code=0
    shift 2
    mpirun --oversubscribe --bind-to none -np "$n" "$wisp" "$@" >out 2>err || code=$?
    [ "$code" = "$wanted" ] || { [ "$wanted" = any ] && [ "$code" != 0 ]; } ||
        fail "exit code $code instead of $wanted: $n ranks of wisp $*"
}
