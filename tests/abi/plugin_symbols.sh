#!/usr/bin/env bash
# plugin_symbols.sh FOLDER [sanitized]: how the plugins in FOLDER are linked (ABI-6, 12, 13, 15).
set -euo pipefail
shopt -s nullglob
failed=0
fail() {
    echo "$1"
    failed=1
}
files=("$1"/wisp-*.so)
[ ${#files[@]} -gt 0 ] || fail "no plugins in $1"
for file in "${files[@]}"; do
    name=${file##*/}
    if [ "${2:-}" != sanitized ]; then
        exported=$(nm -D --defined-only "$file" | awk '{print $NF}')
        [ "$exported" = wisp_plugin_entry ] || fail "$name exports: $exported"
        undefined=$(ldd -r "$file" 2>&1 | grep "undefined symbol" || true)
        [ -z "$undefined" ] || fail "$name: $undefined"
    fi
    dynamic=$(readelf -dW "$file")
    grep -q "BIND_NOW" <<<"$dynamic" || fail "$name is not linked with -z now"
    if grep -q "NEEDED.*libwisp" <<<"$dynamic"; then
        fail "$name links the host"
    fi
    # The cpu backend brings OpenMP, comm/nccl one thread that aborts NCCL (ABI-12). A C library of today
    # has no libpthread to link: what makes a thread is the call.
    starts=$(nm -D --undefined-only "$file" | grep -oE '(pthread_create|thrd_create|GOMP_parallel|__kmpc_fork_call)' || true)
    case $name in
        wisp-backend-cpu.so | wisp-comm-nccl.so) ;;
        *)
            [ -z "$starts" ] || fail "$name starts threads of its own: $starts"
            grep -qE "NEEDED.*(gomp|omp)\." <<<"$dynamic" && fail "$name links OpenMP"
            ;;
    esac
done
exit $failed
