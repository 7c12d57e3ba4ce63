#!/usr/bin/env bash
# bad.sh WISP BUILD SOURCE: each plugin of tests/bad that misbehaves on purpose is caught by exactly
# the test that tests/bad/caught_by.txt names; every other test passes, or is skipped.
. "$(dirname "$0")/../cli/expect.bash"
table=$source/tests/bad/caught_by.txt

# try FILE: prints the ids of the tests that failed, in one line.
try() {
    "$wisp" validate "$1" --time-limit 15 >"$work/$(basename "$1").out" 2>&1
    echo "$(basename "$1" .so) $(awk '$1 == "fail" { print $2 }' "$work/$(basename "$1").out" |
        paste -sd " ")"
}
export -f try
export wisp work
find "$bad" -name 'wisp-*-*.so' -print0 | sort -z | xargs -0 -n 1 -P 2 bash -c 'try "$1"' try \
    >"$work/found"

while read -r name id; do
    case $name in '' | '#'*) continue ;; esac
    line=$(grep -E "^wisp-[a-z]+-$name( |\$)" "$work/found") || {
        echo "FAILED: $name is in the table and not in the build"
        failures=$((failures + 1))
        continue
    }
    got=${line#* }
    [ "$line" = "${line% *}" ] && got=
    [ "$got" = "${id/none/}" ] || {
        echo "FAILED: $name: caught by \"$got\", not by \"$id\""
        grep -A1 "^  fail" "$work/${line%% *}.so.out"
        failures=$((failures + 1))
    }
done <"$table"
while read -r name _; do
    grep -q "^${name#wisp-*-} " "$table" || {
        echo "FAILED: tests/bad/caught_by.txt does not say what catches $name"
        failures=$((failures + 1))
    }
done <"$work/found"

# Every test can fail: each id stands in the table, or says there why nothing can be made for it.
"$wisp" validate --list | awk '{ print $1 }' | sort -u | while read -r id; do
    grep -qE "(^[a-z_0-9]+ |^# untried: )$id\$" "$table" || echo "$id"
done >"$work/untried"
[ -s "$work/untried" ] && {
    echo "FAILED: no plugin is caught by: $(paste -sd " " "$work/untried")"
    failures=$((failures + 1))
}
echo "$(grep -cvE '^#|^$|none$' "$table") plugins that misbehave"
finish
