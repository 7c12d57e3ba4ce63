# expect.bash - sourced by the tests of the command: cli_<topic>.sh WISP BUILD SOURCE.
set -uo pipefail
wisp=$1
build=$2
source=$3
json="$build/tests/cli/json_value"
bad="$build/tests/bad"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
unset WISP_PLUGIN_PATH

complain() {
    echo "FAILED: $1"
    echo "  stdout: $(head -c 600 "$work/out")"
    echo "  stderr: $(head -c 600 "$work/err")"
    failures=$((failures + 1))
}

# expect CODE argument...: runs wisp; its outputs are in $work/out and $work/err.
expect() {
    local wanted=$1 code=0
    shift
    call="wisp $*"
    "$wisp" "$@" >"$work/out" 2>"$work/err" || code=$?
    [ "$code" = "$wanted" ] || complain "$call: exit code $code, not $wanted"
}

# says TEXT..., errs TEXT...: the last call's standard output, or error, holds each text.
says() {
    local text
    for text; do
        grep -qF -- "$text" "$work/out" || complain "$call: does not print \"$text\""
    done
}
errs() {
    local text
    for text; do
        grep -qF -- "$text" "$work/err" || complain "$call: does not complain \"$text\""
    done
}

# One line of complaint that begins with "wisp: ", and no result.
errs_once() {
    errs "$@"
    [ "$(wc -l <"$work/err")" = 1 ] || complain "$call: not one line of complaint"
    grep -q '^wisp: ' "$work/err" || complain "$call: does not begin with wisp:"
    [ -s "$work/out" ] && complain "$call: prints a result as well"
    return 0
}

# value PATH WANTED: a value of the last call's JSON.
value() {
    local got
    got=$("$json" "$1" <"$work/out" 2>>"$work/err") || complain "$call: no JSON value $1"
    [ "$got" = "$2" ] || complain "$call: $1 is \"$got\", not \"$2\""
}

finish() {
    [ "$failures" = 0 ] || echo "$failures failed"
    exit $((failures > 0))
}
