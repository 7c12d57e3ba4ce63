#!/usr/bin/env bash
# bad.sh WISP BUILD SOURCE: each plugin of tests/bad that misbehaves on purpose is caught by exactly
# the test that tests/bad/caught_by.txt names; every other test passes, or is skipped.
. "$(dirname "$0")/../cli/expect.bash"
table=$source/tests/bad/caught_by.txt

# options_of wisp-KIND-NAME: key=value that stand behind the test's id in the table.
options_of() {
    awk -v name="${1#wisp-*-}" '$1 == name { $1 = $2 = ""; print }' "$table"
}
# try FILE: prints the ids of the tests that failed, in one line.
try() {
    local name=${1##*/}
    # shellcheck disable=SC2046
    "$wisp" validate "$1" $(options_of "${name%.so}") --time-limit 15 >"$work/$name.out" 2>&1
    echo "${name%.so} $(awk '$1 == "fail" { print $2 }' "$work/$name.out" | paste -sd " ")"
}
export -f try options_of
export wisp work table
find "$bad" -name 'wisp-*-*.so' -print0 | sort -z | xargs -0 -n 1 -P 2 bash -c 'try "$1"' try \
    >"$work/found"

uncounted=
ldd "$wisp" | grep -q libasan && uncounted=$(sed -n 's/^# uncounted:\(.*\)/\1 /p' "$table")

while read -r name id _; do
    case $name in '' | '#'*) continue ;; esac
    case $uncounted in *" $name "*) continue ;; esac
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

# Every test can fail, and so for each kind that has one of its own: a plugin of these kinds is caught
# by it, or the table says why nothing can be made.
while read -r name id _; do
    kind=$(sed -nE "s/^wisp-([a-z]+)-$name( .*|\$)/\1/p" "$work/found")
    echo "$id ${kind:-none}"
done < <(grep -vE '^#|^$' "$table") >"$work/caught"
while read -r line; do
    id=${line%% *} kinds=${line##*(}
    kinds=${kinds%)}
    case $kinds in file | "every kind") kinds='[a-z]+' ;; esac
    grep -qE "^$id (${kinds//, /|})\$" "$work/caught" && continue
    grep -qE "^# untried: $id( (${kinds//, /|}))?\$" "$table" && continue
    echo "FAILED: no plugin (of $kinds) is caught by $id"
    failures=$((failures + 1))
done < <("$wisp" validate --list)
echo "$(grep -cvE '^#|^$|none( |$)' "$table") plugins that misbehave"
finish
