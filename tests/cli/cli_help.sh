#!/usr/bin/env bash
# What the command says about itself.
. "$(dirname "$0")/expect.bash"
verbs="run check list inspect eval export import ops"

expect 0 --help
says "usage: wisp VERB" "exit codes: 0 done, 1 the run failed, 2"
for verb in $verbs; do
    expect 0 --help
    says "  $verb "
    expect 0 "$verb" --help
    says "usage: wisp $verb" "--plugin-path DIR" "example:" "  wisp $verb " "--json" "exit codes:"
    [ -s "$work/err" ] && complain "$call: complains"
    cp "$work/out" "$work/first"
    for other in "help $verb" "--help $verb" "$verb -h" "$verb too many words --help"; do
        # shellcheck disable=SC2086
        expect 0 $other
        cmp -s "$work/out" "$work/first" || complain "$call: another help than $verb --help"
    done
    # The example must be a call that the parser accepts: anything but a complaint about words.
    example=$(sed -n '/^example:/{n;s/^  wisp //p}' "$work/first")
    # shellcheck disable=SC2086
    expect 0 $example --help
done
expect 0 --version
[ "$(cat "$work/out")" = "wisp $(sed -n 's/^project(wisp VERSION \([0-9.]*\).*/\1/p' "$source/CMakeLists.txt")" ] ||
    complain "--version does not give the project's version"
if expect 0 list && "$wisp" list >/dev/full 2>"$work/err"; then
    complain "list: a full disk goes unnoticed"
fi
finish
