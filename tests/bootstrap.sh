#!/usr/bin/env bash
# bootstrap.sh SOURCE_DIR: what ./bootstrap does on machines that lack packages or have them all; in a
# copy of its own, with dpkg-query, apt-get, id, cmake and ctest that only note how they are called.
set -uo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$1/bootstrap" "$work" || exit 1
cd "$work" || exit 1
mkdir stand_ins
failures=0

complain() {
    echo "FAILED: $*"
    sed 's/^/  /' calls out err
    failures=$((failures + 1))
}

# stand_in NAME: reads what it does besides noting the call.
stand_in() {
    { echo '#!/bin/sh' && echo "echo $1 \"\$@\" >>\"$work/calls\"" && cat; } >"stand_ins/$1"
    chmod +x "stand_ins/$1"
}

# As dpkg-query -W does, of packages that are listed in `lacking`, or were.
stand_in dpkg-query <<'END'
for name; do :; done
case " $(cat lacking) " in *" $name "*) exit 1 ;; esac
[ "$name" != "$(cat removed)" ] || { printf config-files; exit 0; }
printf installed
END
stand_in apt-get </dev/null
stand_in id <<<'cat user'
stand_in cmake <<<'[ "$1" = --build ] || { mkdir -p build && touch build/CMakeCache.txt; }'
stand_in ctest </dev/null

# call USER LACKING ARGUMENT...: what ./bootstrap says and whom it calls, in out, err, calls and code.
call() {
    echo "$1" >user
    echo "$2" >lacking
    shift 2
    : >calls
    code=0
    PATH="$work/stand_ins:$PATH" ./bootstrap "$@" >out 2>err || code=$?
    sed -i '/^dpkg-query\|^id/d' calls
}

: >removed
call 1000 "check libpng-dev" build
[ $code = 2 ] || complain "somebody without rights: exit code $code, not 2"
grep -qx "  apt-get install -y --no-install-recommends libpng-dev check" err ||
    complain "somebody without rights is not told the line"
[ -s calls ] && complain "somebody without rights: something is called"

call 0 "check libpng-dev" build
[ $code = 0 ] || complain "root: exit code $code"
[ "$(sed -n 1p calls)" = "apt-get update -qq" ] &&
    [ "$(sed -n 2p calls)" = "apt-get install -y -qq --no-install-recommends libpng-dev check" ] &&
    grep -q '^cmake -S' calls && grep -q '^cmake --build' calls || complain "root: other calls"

for verb in build test; do
    call 1000 "" $verb
    [ $code = 0 ] || complain "a second $verb: exit code $code"
    grep -q 'apt-get\|cmake -S' calls && complain "a second $verb sets up again"
    grep -q '^cmake --build' calls || complain "a second $verb does not build what has changed"
done
grep -q '^ctest' calls || complain "test runs no tests"

# A browser is for the tests alone.
call 0 "chromium curl" build
[ $code = 0 ] && ! grep -q apt-get calls || complain "build wants a browser"
call 0 "chromium curl" test
grep -q 'recommends chromium curl$' calls || complain "test does not install a browser"

# Removed, but for its configuration.
echo cmake >removed
call 1000 "" build
[ $code = 2 ] && grep -q 'recommends cmake$' err || complain "a removed package counts as installed"

for wrong in "" biuld; do
    call 0 "" $wrong
    [ $code = 2 ] && grep -q 'bootstrap demo' out || complain "\"$wrong\": exit code $code, no usage"
    [ -s calls ] && complain "\"$wrong\": something is called"
done
[ $failures = 0 ]
