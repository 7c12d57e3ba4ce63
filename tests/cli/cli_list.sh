#!/usr/bin/env bash
# wisp list: good, bad and shadowed plugins.
. "$(dirname "$0")/expect.bash"

expect 0 list
n=$(wc -l <"$work/out")
[ "$n" = "$(ls "$build"/plugins/wisp-*-*.so | wc -l)" ] || complain "list: not one line per file"
says "backbone/resnet" "sampler/multicrop" "method/dino"
grep -q unusable "$work/out" && complain "list: calls a plugin of this build unusable"
expect 0 list --json
value 'plugins.#' "$n"
value plugins.0.kind backend
value plugins.0.name cpu
value plugins.0.path "$build/plugins/wisp-backend-cpu.so"
value plugins.0.shadowed false
value plugins.0.error null
expect 0 list method
says "method/dino"
grep -v '^method/' "$work/out" && complain "list method: names other kinds"
expect 0 list comm
grep -qE '^(comm/|no plugins found)' "$work/out" || complain "list comm: says nothing"

# A folder full of trouble: everything is named, and nothing that plugins print gets through.
expect 0 list --plugin-path "$bad"
[ "$(wc -l <"$work/out")" = $((n + $(ls "$bad"/wisp-*-*.so | wc -l))) ] ||
    complain "list: not one line per file"
says "method/bad_entry_crash" "unusable: $bad/wisp-method-bad_entry_crash.so: crashed while it was" \
    "method/bad_text            unusable:" "did not load within 5 seconds" "method/dino"
grep -q "a plugin that prints" "$work/out" "$work/err" && complain "list: shows what plugins print"

# The first folder wins.
mkdir "$work/first"
cp "$build/plugins/wisp-sampler-multicrop.so" "$work/first"
expect 0 list sampler --plugin-path="$work/first"
says "shadowed by the line above: $build/plugins/wisp-sampler-multicrop.so"
expect 0 list sampler --json --plugin-path "$work/first"
value plugins.0.path "$work/first/wisp-sampler-multicrop.so"
value plugins.0.shadowed false
value plugins.1.shadowed true
WISP_PLUGIN_PATH="$work/first" expect 0 list sampler
says "shadowed by the line above: $build/plugins/wisp-sampler-multicrop.so"
expect 0 list --plugin-path "$work/nowhere"
errs "plugin folder $work/nowhere: No such file or directory"

# Fast enough not to be noticed. Processor time, so that a busy machine does not matter; sanitizers
# may take longer.
if ! nm -D "$build/libwisp.so" | grep -q __asan; then
    TIMEFORMAT='%3U %3S %3R'
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        { time "$wisp" list >/dev/null; } 2>>"$work/times"
    done
    best=$(awk '{ ms = ($1 + $2) * 1000 } NR == 1 || ms < best { best = ms } END { print int(best) }' \
        "$work/times")
    echo "wisp list takes $best ms of processor time; user, system, elapsed seconds:"
    cat "$work/times"
    [ "$best" -lt 50 ] || complain "list: takes $best ms, more than 50"
fi
finish
