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
    if [ "$name" != wisp-backend-cpu.so ] && grep -qE "NEEDED.*(gomp|omp|pthread)" <<<"$dynamic"; then
        fail "$name brings threads of its own"
    fi
done
exit $failed
