#!/usr/bin/env bash
# rule_list.sh SOURCE_DIR BUILD_DIR: docs/abi.md has the rules ABI-1 to ABI-21, each with what enforces it,
# and the tests that are named there exist.
set -euo pipefail
page=$1/docs/abi.md
# With those that a build with sanitizers leaves out.
tests=$(ctest --test-dir "$2" -N | awk '$1 == "Test" { print $3 }'
    sed -n 's/^ *add_test(NAME \([a-z_.]*\) .*/\1/p' "$1"/tests/*/CMakeLists.txt)
validations=$("$2/wisp" validate --list | awk '{ print $1 }')
failed=0
complain() {
    echo "docs/abi.md: $*"
    failed=1
}

# A rule a line, from its number to the next rule or heading.
rules=$(awk '/^## /        { inside = 0 }
             /^\*\*ABI-/   { inside = 1; if (text) print text; text = "" }
             inside        { text = text " " $0 }
             END           { print text }' "$page")
[ "$(sed -n 's/^ \*\*ABI-\([0-9]*\)\..*/\1/p' <<<"$rules" | paste -sd' ')" = "$(seq -s' ' 21)" ] ||
    complain "the rules are not 1 to 21, each once"

while read -r rule; do
    name=$(grep -o 'ABI-[0-9]*' <<<"$rule" | head -1)
    means=${rule#*\*Enforced:\*}
    [ "$means" != "$rule" ] || { complain "$name: nothing enforces it"; continue; }
    named=$(grep -oE '`(abi|cli|docs|rules|unit|validate)\.[A-Za-z_]+`' <<<"$means" | tr -d '`' || true)
    [ -n "$named" ] || complain "$name: no test enforces it"
    for test in $named; do
        [ "$test" = validate.KIND ] || grep -qx -- "$test" <<<"$tests" ||
            complain "$name: there is no test $test"
    done
    for id in $(sed -n 's/.*`wisp validate`: *//p' <<<"$means" | grep -oE '`[a-z0-9-]+`' | tr -d '`'); do
        grep -qx -- "$id" <<<"$validations" || complain "$name: wisp validate has no test $id"
    done
done <<<"$rules"
exit $failed
