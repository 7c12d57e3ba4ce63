#!/usr/bin/env bash
# page.sh WISP BUILD SOURCE [write]: the table of tests in docs/validate.md says what the command
# says. `write` puts it there.
. "$(dirname "$0")/../cli/expect.bash"
page=$source/docs/validate.md
expect 0 validate --list --json
cp "$work/out" "$work/list"
n=$("$json" 'tests.#' <"$work/list")
{
    echo "| test | for | what it shows | when it fails |"
    echo "| --- | --- | --- | --- |"
    for ((i = 0; i < n; i++)); do
        printf '| `%s` | %s | %s | %s |\n' "$("$json" "tests.$i.id" <"$work/list")" \
            "$("$json" "tests.$i.kinds" <"$work/list")" \
            "$("$json" "tests.$i.summary" <"$work/list")" \
            "$("$json" "tests.$i.cure" <"$work/list")"
    done
} >"$work/table"
awk -v table="$work/table" '
/^<!-- tests -->/ { print; while ((getline line < table) > 0) print line; skipping = 1; next }
/^<!-- end -->/ { skipping = 0 }
!skipping { print }' "$page" >"$work/page"
if [ "${4:-}" = write ]; then
    cp "$work/page" "$page"
elif ! diff -u "$page" "$work/page"; then
    echo "docs/validate.md differs from wisp validate --list: run tests/validate/page.sh with \"write\""
    failures=1
fi
finish
