#!/usr/bin/env bash
# wisp new: what it writes, and what it refuses without leaving anything.
. "$(dirname "$0")/expect.bash"
cd "$work" || exit 1
kinds="backbone backend dataset method sampler task"
[ "$(cd "$source/sdk/templates" && ls -d -- */ | tr -d / | grep -v every_kind | xargs)" = "$kinds" ] ||
    complain "the kinds of sdk/templates are not $kinds"
for kind in $kinds; do
    expect 0 new "$kind" a_"$kind" --json
    value folder "a_$kind"
    value kind "$kind"
    value 'files.#' 5
    for file in a_"$kind".c CMakeLists.txt Makefile README.md smoke.toml; do
        [ -s "a_$kind/$file" ] || complain "$call: no $file"
    done
    grep -rn "@[A-Z]*@" "a_$kind" && complain "$call: a mark is left"
    grep -q "\"a_$kind\"" "a_$kind/a_$kind.c" || complain "$call: the plugin has another name"
    [ "$(wc -l <"a_$kind/Makefile")" -le 10 ] || complain "$call: the Makefile has more than ten lines"
done
ls >"$work/before"
expect 2 new method a_method
errs_once "a_method is there already"
expect 2 new metod x
errs_once "the nearest is method"
expect 2 new every_kind x
errs_once "no template for the kind \"every_kind\""
# What the host would load, and not a letter more.
longest=$(printf 'x%.0s' {1..48})
expect 0 new method "$longest" "$work/longest"
rm -r "$work/longest"
for name in X 1x x-y "" x/y "${longest}x"; do
    expect 2 new method "$name"
    errs_once "no name for a plugin"
done
expect 2 new method x not/there
errs_once "cannot make the folder"
expect 2 new method
expect 2 new method x y z
# Where the folder cannot be filled, none is left.
(
    ulimit -f 1
    "$wisp" new method large 2>"$work/err" && exit 1
    exit 0
) || complain "a folder that cannot be written is no failure"
ls | diff "$work/before" - >"$work/out" || complain "a refused call leaves something"
expect 0 new method x "$work/elsewhere/"
[ -s "$work/elsewhere/x.c" ] || complain "$call: no elsewhere/x.c"
says "cd $work/elsewhere/"
# A second look at the first folder: nothing of it was touched.
expect 0 new method a_method again
diff -r a_method again >"$work/out" || complain "the same call writes something else"
finish
