#!/usr/bin/env bash
# trap_list.sh SOURCE_DIR: docs/traps.md has all 28 traps, each with a test, and the tests are there.
set -euo pipefail
cd "$1"
failed=0
complain() {
    echo "docs/traps.md: $*"
    failed=1
}

rows=$(grep -E '^\| [0-9]+ \|' docs/traps.md)
[ "$(echo "$rows" | cut -d '|' -f 2 | tr -d ' ' | paste -sd' ')" = "$(seq -s' ' 28)" ] ||
    complain "the traps are not 1 to 28"

# found TEST FUNCTION: a ctest entry's file, and in it a test of this name where one is given.
found() {
    local file
    case $1 in
    unit.*) file=tests/unit/test_${1#unit.}.c ;;
    runs.*) file=tests/runs/${1#runs.}.sh ;;
    configs.*) file=tests/configs/${1#configs.}.sh ;;
    *) return 1 ;;
    esac
    [ -e "$file" ] && { [ -z "$2" ] || grep -q "^START_TEST($2)" "$file"; }
}

while IFS='|' read -r _ number _ tests _; do
    words=$(grep -oE '`[^`]*`' <<<"$tests" | tr -d '`' || true)
    [ -n "$words" ] || [[ $tests == *" none: "* ]] || complain "trap$number has no test"
    test=
    for word in $words none.; do
        if [[ $word != *.* ]]; then
            found "$test" "$word" || complain "trap$number: there is no test $word in $test"
        else
            [ -z "$test" ] || found "$test" "" || complain "trap$number: there is no test $test"
            test=$word
        fi
    done
done <<<"$rows"
exit $failed
