#!/usr/bin/env bash
# saved_headers.sh WISP SOURCE_DIR COMPILER: plugins built from the headers of earlier minors, in the host
# of today (ABI-19). Structs have grown since; who was built before must not notice.
set -uo pipefail
wisp=$1
source=$2
compiler=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset WISP_PLUGIN_PATH
export OMP_WAIT_POLICY=passive
number() { sed -n "s/^#define $1 \([0-9]*\).*/\1/p" "$2/wisp/abi.h"; }
major=$(number WISP_ABI_MAJOR "$source/core/include")
minor=$(number WISP_ABI_MINOR "$source/core/include")
failures=0
complain() {
    echo "FAILED: $1"
    failures=$((failures + 1))
}

# build FOLDER HEADERS KIND NAME SOURCE
build() {
    mkdir -p "$1"
    sed "s/@NAME@/$4/g" "$5" >"$1/$4.c"
    "$compiler" -std=c11 -O1 -Wall -Wextra -Werror -fPIC -shared -fvisibility=hidden -I"$2" -Wl,-z,defs \
        -o "$1/wisp-$3-$4.so" "$1/$4.c" -lm 2>"$1/err" ||
        complain "$4 does not compile from the headers of $(basename "$2"): $(head -c 500 "$1/err")"
}

saved=0
for headers in "$source"/tests/abi/saved/*/; do
    saved=$((saved + 1))
    old_major=$(number WISP_ABI_MAJOR "$headers")
    old_minor=$(number WISP_ABI_MINOR "$headers")
    [ "$(basename "$headers")" = "$old_major.$old_minor" ] || complain "$headers holds $old_major.$old_minor"
    for template in "$source"/sdk/templates/*/new_*.c; do
        kind=$(basename "$(dirname "$template")")
        folder=$work/$old_major.$old_minor/$kind
        build "$folder" "$headers" "$kind" older "$template"
        sed "s/@NAME@/older/g" "$(dirname "$template")/smoke.toml" >"$folder/smoke.toml"
        (cd "$folder" && "$wisp" run smoke.toml run.steps=1 run.threads=1 run.workers=0 --plugin-path . >out 2>&1)
        code=$?
        if [ "$old_major.$old_minor" = "$major.$minor" ] || { [ "$old_major" = "$major" ] && [ "$major" != 0 ]; }; then
            [ $code = 0 ] || complain "$kind of $old_major.$old_minor does not run: $(tail -c 500 "$folder/out")"
            echo "$kind: built for $old_major.$old_minor, runs"
        else
            [ $code = 2 ] && grep -q "ABI-3" "$folder/out" ||
                complain "$kind of $old_major.$old_minor is not refused: $(tail -c 500 "$folder/out")"
        fi
    done
done
[ $saved -gt 0 ] || complain "no headers are saved"
exit $((failures > 0))
