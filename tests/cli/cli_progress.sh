#!/usr/bin/env bash
# What a run shows while it trains: lines where the output is no terminal, one line that is written
# over where it is, nothing where only results are wanted.
. "$(dirname "$0")/expect.bash"
export OMP_WAIT_POLICY=passive
steps=12
run=(run "$source/configs/smoke/base.toml" run.epochs=3 run.steps=0 run.metric_steps=1)
line='^epoch [1-3]/3 step [0-9]+/12  loss [0-9]+\.[0-9]{4}  lr [0-9.e-]+  [0-9]+\.[0-9] images/s  '
line+='data wait [0-9]+ %  ETA [0-9]+:[0-9]{2}$'

# All steps, in turn, with the values of metrics.jsonl.
expect 0 "${run[@]}" run.log_seconds=0 "run.out=$work/every"
grep -E "$line" "$work/out" >"$work/lines"
grep -q $'[\r\033]' "$work/out" && complain "$call: controls a terminal that is none"
for ((i = 1; i <= steps; i++)); do
    echo "epoch $(((i - 1) / 4 + 1))/3 step $i/12"
done >"$work/wanted"
cmp -s <(cut -d ' ' -f 1-4 "$work/lines") "$work/wanted" || complain "$call: not a line for each step"
cmp -s <(grep -o 'loss [0-9.]*' "$work/lines" | cut -d ' ' -f 2) \
    <(sed -n 's/.*"train".*"loss": \([0-9.]*\).*/\1/p' "$work/every/smoke/0/metrics.jsonl" |
        xargs -n 1 printf '%.4f\n') || complain "$call: other losses than in metrics.jsonl"
tail -n 1 "$work/lines" | grep -q 'ETA 0:00$' || complain "$call: something is left at the end"

# A line every so many seconds, and one at the end.
expect 0 "${run[@]}" run.log_seconds=1000 "run.out=$work/seldom"
[ "$(grep -cE "$line" "$work/out")" = 1 ] && grep -q ' step 12/12 ' "$work/out" ||
    complain "$call: not just the last step"

for mode in --quiet --json; do
    expect 0 "${run[@]}" run.log_seconds=0 "run.out=$work/mode$mode" $mode
    grep -q 'images/s' "$work/out" "$work/err" && complain "$call: shows progress"
done

# A terminal: each line begins over the one before; what follows begins on a line of its own.
if script -qec true /dev/null </dev/null >/dev/null 2>&1; then # not without pseudo-terminals
    call="wisp run in a terminal"
    script -qec "'$wisp' ${run[*]@Q} run.out=$work/terminal" /dev/null </dev/null >"$work/out" 2>"$work/err" ||
        complain "$call: fails"
    grep -q $'^\r\033\\[Kepoch' "$work/out" || complain "$call: does not write over its line"
    grep -q '^k-NN top-1: trained' "$work/out" || complain "$call: the result has no line of its own"
fi
finish
