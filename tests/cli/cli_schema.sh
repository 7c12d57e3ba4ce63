#!/usr/bin/env bash
# wisp schema: is it what `wisp inspect` says of every plugin? (That validators take it as meant is shown by
# tests/golden/judge_schema.py and judge_editor.py, by hand.)
. "$(dirname "$0")/expect.bash"
expect 0 schema
cp "$work/out" "$work/schema"
value '$schema' "http://json-schema.org/draft-07/schema#"
value properties.run.properties.epochs.type integer
value properties.run.properties.epochs.minimum 1
value properties.run.additionalProperties false
value properties.method.if.properties.use.const dino
value properties.task.type array
value definitions.method.dino.additionalProperties false
value definitions.sampler.multicrop.properties.global.properties.scale.maxItems 2
value definitions.sampler.multicrop.properties.global.properties.scale.items.exclusiveMinimum 0
for plugin in "$build"/plugins/wisp-{dataset,sampler,backbone,method,task}-*.so; do
    title=$(basename "$plugin" .so)
    title=${title#wisp-}
    kind=${title%%-*}
    name=${title#*-}
    expect 0 inspect "$kind/$name" --json
    cp "$work/out" "$work/inspected"
    for ((i = 0; ; i++)); do
        key=$("$json" "plugins.0.options.$i.key" <"$work/inspected" 2>"$work/err") ||
            key=$("$json" "options.$i.key" <"$work/inspected" 2>"$work/err") || break
        cp "$work/schema" "$work/out"
        call="wisp schema: $kind/$name"
        "$json" "definitions.$kind.$name.properties.$key.description" <"$work/out" >"$work/err" 2>&1 ||
            complain "$call: no option $key"
    done
    [ "$i" -gt 0 ] || grep -q '"options": \[\]' "$work/inspected" || complain "$call: no option is compared"
done
# A path holds a /, as the host has it: with .so or without, a bare name is none.
value properties.method.properties.use.anyOf.1.pattern /
# Plugins on the path are in it, broken ones are named and left out.
expect 0 schema --plugin-path "$bad"
errs "is left out"
# Data sets stand in two tables, tasks too: what is wrong with one is said once.
mkdir "$work/broken"
echo "no plugin" >"$work/broken/wisp-dataset-broken.so"
cp "$work/broken/wisp-dataset-broken.so" "$work/broken/wisp-task-broken.so"
expect 0 schema --plugin-path "$work/broken"
for title in dataset/broken task/broken; do
    [ "$(grep -c "$title is left out" "$work/err")" = 1 ] || complain "$call: $title is not told once"
done
expect 2 schema too many
finish
