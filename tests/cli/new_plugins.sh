#!/usr/bin/env bash
# A plugin of every kind, as a newcomer makes it: an installed tree and an empty folder. Built by make
# and by CMake with all warnings as errors, linked as ABI-15 says, and run as it stands.
. "$(dirname "$0")/expect.bash"
call="cmake --install"
cmake --install "$build" --prefix "$work/tree" >"$work/out" 2>"$work/err" || complain "$call fails"
wisp="$work/tree/bin/wisp"
PKG_CONFIG_PATH=$(dirname "$(find "$work/tree" -name wisp.pc)")
export PKG_CONFIG_PATH OMP_WAIT_POLICY=passive
mkdir "$work/empty"
cd "$work/empty" || exit 1

for template in "$source"/sdk/templates/*/; do
    kind=$(basename "$template")
    [ "$kind" = every_kind ] && continue
    begin=$SECONDS
    expect 0 new "$kind" my_idea "my_$kind"
    cd "my_$kind" || exit 1
    call="make in my_$kind"
    make CFLAGS=-Werror >"$work/out" 2>"$work/err" || complain "$call fails"
    touch "$work/tree/include/wisp/abi.h" # a newer wisp: what was built before is out of date
    make -q CFLAGS=-Werror && complain "$call: a header is newer, and make says up to date"
    make CFLAGS=-Werror >"$work/out" 2>"$work/err" || complain "$call fails the second time"
    make -q CFLAGS=-Werror || complain "$call: make builds again what is up to date"
    expect 0 run smoke.toml --plugin-path .
    grep -q "loss -\?[0-9]" "$work/out" "$work/err" || complain "$call: no loss"
    grep -qi "nan" "$work/out" "$work/err" && complain "$call: not a number"
    plugin=wisp-$kind-my_idea.so
    expect 0 validate "$plugin"
    says " 0 failed"
    grep -q "^  pass  creates " "$work/out" || complain "$call: the plugin was not even created"
    grep -qF "wisp validate $plugin" README.md || complain "my_$kind/README.md does not name wisp validate"
    grep -q '"kind": "train"' runs/my_idea-smoke/0/metrics.jsonl || complain "$call: no metrics"
    took=$((SECONDS - begin))
    echo "$kind: $took s from nothing to the end of its smoke run"
    [ $took -le 60 ] || complain "my_$kind: $took s"
    if [ "$kind" = backend ]; then
        expect 0 ops test unary --backend my_idea --plugin-path .
        says "relu"
    fi
    call="cmake in my_$kind"
    cmake -S . -B build -DCMAKE_PREFIX_PATH="$work/tree" -DCMAKE_C_FLAGS="-Wall -Wextra -Wpedantic -Werror" \
        >"$work/out" 2>"$work/err" && cmake --build build >>"$work/out" 2>>"$work/err" || complain "$call fails"
    if [ "$kind" = method ]; then # ABI-16
        call="cmake -DCMAKE_C_FLAGS=-ffast-math"
        cmake -S . -B fast -DCMAKE_PREFIX_PATH="$work/tree" -DCMAKE_C_FLAGS=-ffast-math >"$work/out" 2>"$work/err" &&
            complain "$call is taken"
        errs "fast-math" "ABI-16"
    fi
    [ -s build/compile_commands.json ] || complain "$call: no compile_commands.json"
    for folder in . build; do
        nm -D --defined-only $folder/wisp-"$kind"-my_idea.so | awk '{print $NF}' >"$work/out"
        [ "$(cat "$work/out")" = wisp_plugin_entry ] || complain "my_$kind/$folder: exported symbols"
        expect 0 inspect "$kind/my_idea" --plugin-path $folder
        says "$kind/my_idea 0.1.0"
    done
    "$source/tests/abi/plugin_symbols.sh" build >"$work/out" || complain "my_$kind: linked wrongly"
    cd .. || exit 1
done
finish
