#!/usr/bin/env bash
# Calls that cannot be meant: exit code 2, one line, the nearest word.
. "$(dirname "$0")/expect.bash"

expect 2
errs_once "wisp --help"
expect 2 lst
errs_once 'no verb "lst"' 'nearest known one is "list"'
expect 2 inspct method/dino
errs_once 'nearest known one is "inspect"'
expect 2 list --jsno
errs_once "unknown option --jsno" "nearest known one is --json" "wisp list --help"
expect 2 --plugin-pth x list
errs_once "nearest known one is --plugin-path"
expect 2 run --chek-finite
errs_once "nearest known one is --check-finite"
expect 2 list -x
errs_once "unknown option -x"
expect 2 list --plugin-path
errs_once "--plugin-path needs a value"
expect 2 list --plugin-path=
errs_once "--plugin-path needs a value"
expect 2 list --json=yes
errs_once "--json takes no value"
expect 2 run
errs_once "too few arguments" "wisp run EXP.toml"
expect 2 eval only_one
errs_once "too few arguments"
expect 2 list method sampler
errs_once "too many arguments"
expect 2 list metod
errs_once 'no plugin kind "metod"' '"method"'
expect 2 ops tset
errs_once 'no check "tset"' '"test"'
expect 2 ops test no_such_op
errs_once "no_such_op"
expect 2 ops test --backend cpuu
errs_once 'no backend plugin "cpuu"' "nearest known name: cpu"
expect 2 ops test --backend 'a"b'
errs_once "no name of a backend"
expect 2 inspect method
errs_once "neither KIND/NAME"
expect 2 inspect ./no-such-file.so
errs_once "No such file"
expect 2 -- --json
errs_once 'no verb "--json"'
expect 2 run "$work/nothing.toml"
errs "nothing.toml"
expect 2 check "$work/nothing.toml"
errs "nothing.toml"
for verb in run check; do
    expect 2 $verb "$work"
    errs_once "$work: a folder; give the name of a file"
    printf '[run]\nname = "x"\nepochz = 3\n' >"$work/exp.toml"
    expect 2 $verb "$work/exp.toml"
    errs "exp.toml:3:1:" "epochz = 3" "nearest known key: epochs"
    [ -s "$work/out" ] && complain "$call: prints a result as well"
done
finish
