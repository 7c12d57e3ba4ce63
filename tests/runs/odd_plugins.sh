#!/usr/bin/env bash
# odd_plugins.sh BUILD_FOLDER: methods and tasks that ask for what the host cannot give, or say what it
# cannot keep, are refused in words; those built when there was less of a struct are served.
source "$(dirname "$0")/run_kit.sh"

templates=$source_folder/sdk/templates
small="run.steps=1 run.threads=1 run.workers=0 run.report=false"

# plugin KIND NAME SED...: the template of this kind with something changed.
plugin() {
    local kind=$1 name=$2 edits=()
    shift 2
    sed "s/@NAME@/$name/g" "$templates/$kind/new_$kind.c" >was.c
    for edit; do edits+=(-e "$edit"); done
    sed "${edits[@]}" was.c >"$name.c"
    cmp -s was.c "$name.c" && fail "$name: nothing is changed: has the template another text?"
    "${CC:-cc}" -std=c11 -O1 -fPIC -shared -fvisibility=hidden -I"$source_folder/core/include" -Wl,-z,now \
        -o "wisp-$kind-$name.so" "$name.c" -lm 2>err || fail "$name does not compile"
    sed "s/@NAME@/$name/g" "$templates/$kind/smoke.toml" >"$name.toml"
}
# plugin_run CODE NAME
plugin_run() {
    # shellcheck disable=SC2086
    run "$1" run "$2.toml" --plugin-path . $small run.out="runs/$2"
}
lines_are_json() { # FILE
    local line
    while read -r line; do
        "$build/tests/cli/json_value" kind <<<"$line" >out 2>err || fail "$1: a line that is no JSON: $line"
    done <"$1"
}

# --- the protocol of a result is JSON, and a line ---
n=0
for bad in '{k: 5}' '{\\"k\\": 5}}' '[5]' '{\\"k\\":\\n5}' '{\\"k\\": 1, \\"k\\": 2}' ''; do
    n=$((n + 1))
    plugin task "words_$n" "s/t->centred ? \"{\\\\\"centred\\\\\": true}\" : \"{\\\\\"centred\\\\\": false}\"/\"$bad\"/"
    plugin_run 2 "words_$n"
    says "the protocol of class-mean top-1" "must be a JSON object on one line"
    lines_are_json "runs/words_$n/words_$n-smoke/0/metrics.jsonl"
done
plugin task empty "s/t->centred ? \"{\\\\\"centred\\\\\": true}\" : \"{\\\\\"centred\\\\\": false}\"/\"{ }\"/"
plugin_run 0 empty
grep '"class_mean_top_1"' runs/empty/empty-smoke/0/metrics.jsonl >results || fail "no result of an empty protocol"
lines_are_json results

# --- a request as it was before it grew ---
plugin task older 's/request = {.struct_size = sizeof request,/request = {.struct_size = offsetof(wisp_embed_request, scale),/'
plugin_run 0 older
plugin task sizeless 's/request = {.struct_size = sizeof request,/request = {.struct_size = 0,/'
plugin_run 2 sizeless
says "set it to sizeof(wisp_embed_request)"

# --- what a method needs ---
plugin method tokens 's/    r->min_global/    r->needs = WISP_NEED_TOKENS;\n    r->min_global/'
plugin_run 2 tokens
says "method tokens needs a backbone with tokens, resnet has none"
plugin method newer 's/    r->min_global/    r->needs = 1u << 20;\n    r->min_global/'
plugin_run 2 newer
says "method newer needs 0x100000 of the host" "take a newer host"
echo "odd plugins are refused in words"
