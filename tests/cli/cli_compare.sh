#!/usr/bin/env bash
# wisp compare and wisp sweep: calls that are wrong are refused before anything is made, in one line.
. "$(dirname "$0")/expect.bash"
cd "$work" || exit 1
cp "$source/configs/smoke/base.toml" a.toml
printf 'extends = "a.toml"\n[test]\nuse = "synthetic"\nsplit = "test"\ncount = 16\nsize = 24\n[run]\nepochs = 2\nseed = 4\n' >b.toml

wrong() { # WORDS ARGUMENTS...
    expect 2 "${@:2}"
    errs_once "$1"
    [ ! -e runs ] || complain "$call: leaves a folder"
}
wrong "one arm only" compare a.toml
wrong "no experiment is named" compare run.epochs=2
wrong "the last arm is B" compare a.toml b.toml --set C:run.epochs=2
wrong "say --seeds instead" compare a.toml b.toml run.seed=2
wrong "--seeds 0" compare a.toml b.toml --seeds 0
wrong "--jobs x" compare a.toml b.toml --jobs x
wrong "--emit pbs" compare a.toml b.toml --emit pbs
wrong "all must be of one backend" compare a.toml b.toml --devices cpu,cuda:0
wrong "cannot name a folder" compare a.toml b.toml --name a/b
wrong "there is no arm C" compare a.toml b.toml --seed-offset C:1
wrong "--metrics" compare a.toml b.toml --metrics a,,b
wrong "no key has a list" sweep a.toml optimizer.lr=1
wrong "does not close" sweep a.toml 'optimizer.lr=[1,2'
wrong "unknown option --seed-offset" sweep a.toml optimizer.lr=1,2 --seed-offset B:1
expect 2 compare a.toml nothing.toml
errs "arm B: " "nothing.toml"
expect 2 compare a.toml b.toml --set B:run.epohcs=2
errs "arm B: " "nearest known key: epochs"
[ ! -e runs ] || complain "$call: leaves a folder"

expect 0 compare a.toml b.toml --seeds 2 --emit slurm
says "A  a" "B  b" "test.count" "run.epochs" "different test images" "different numbers of epochs" \
    "different run.seed" "4 runs are left: sbatch runs/a-vs-b/slurm.sh"
says "what differs"
grep -q '^run.name\|^run.seed' out && complain "$call: differences name what is set for each run"
expect 0 compare a.toml --set C:optimizer.lr=2e-3 --seeds 3, --emit slurm --json
value arms.2.title "a optimizer.lr=2e-3"
value differences.0.key optimizer.lr
value complete false
finish
