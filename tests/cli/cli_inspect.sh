#!/usr/bin/env bash
# wisp inspect: everything about a plugin, from the plugin itself.
. "$(dirname "$0")/expect.bash"
good="$bad/wisp-method-good_options.so"

expect 0 inspect "$good"
says "method/good_options 1.2.3 - a plugin for tests" "Exists to be loaded" "license    Apache-2.0" \
    "file       $good" "ABI        0.1, kind wisp.method/0" \
    "integer in [1, 100], px; required" "number in [0, 1); default 0.25" "formerly called top" \
    "the colour of the sky" "inner.high" "list of integers, 1 to 3 items; default [1, 2]"
expect 0 inspect method/good_options --plugin-path "$bad" --json
value plugins.0.kind method
value plugins.0.name good_options
value plugins.0.version 1.2.3
value plugins.0.license Apache-2.0
value plugins.0.path "$good"
value plugins.0.abi 0.1
value plugins.0.options.1.key count
value plugins.0.options.1.required true
value plugins.0.options.1.default null
value plugins.0.options.1.min 1.0
value plugins.0.options.1.max 100.0
value plugins.0.options.1.unit px
value plugins.0.options.5.choices.1.name blue
value plugins.0.options.6.options.0.below 1.0
value plugins.0.options.6.options.1.former top
value plugins.0.options.7.default '[1, 2]'
value plugins.0.options.7.max_count 3

# Every plugin of this build, by name and by file.
for file in "$build"/plugins/wisp-*-*.so; do
    title=$(basename "$file" .so | sed 's/^wisp-//; s/-/\//')
    expect 0 inspect "$title"
    says "$title" "$file"
    expect 0 inspect "$file" --json
    value plugins.0.path "$file"
    value 'plugins.#' 1
done

# A refusal is the gate's message.
expect 2 inspect "$bad/wisp-method-bad_abi_major.so"
errs_once "built for plugin ABI 1.1, this host offers 0.1" "(ABI-3)"
expect 2 inspect "$bad/wisp-method-bad_text.so"
errs_once "not a shared object"
expect 2 inspect method/dyno
errs_once 'no method plugin "dyno"' "nearest known name: dino" "$build/plugins"
expect 2 inspect metod/dino
errs_once 'nearest known one is "method"'
expect 1 inspect "$bad/wisp-method-bad_init.so"
errs_once "no quantum unit (in plugin method/bad_init, function init)"
(ulimit -c 0; expect 139 inspect "$bad/wisp-method-bad_entry_crash.so"
    errs "inside plugin $bad/wisp-method-bad_entry_crash.so"; exit $failures) || failures=1
finish
