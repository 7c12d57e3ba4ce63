#!/usr/bin/env bash
# health_ranks.sh BUILD_FOLDER: two ranks measure what one process does, and end together on the last
# healthy state.
. "$(dirname "$0")/rank_kit.sh" "$1"

write_tiny late <<END
[method]
teacher_temperature_start = 0.5
teacher_temperature = 0.5
student_temperature = 0.5
[schedule.teacher_temperature]
kind = "step"
value = 0.5
warmup_epochs = 0
gamma = 1000
milestones = [5]
END
long="run.epochs=100 run.steps=0 run.metric_steps=5"
run 1 run late.toml $long run.on_collapse=stop
says "collapsed: the teacher gives every output the same probability"
ranks any 2 run late.toml $long run.on_collapse=stop run.out=two
says "stopped at step 220" "is the last healthy state, of step 20"
[ "$(grep -c "has collapsed" err)" = 1 ] || fail "not one rank alone warns"
diff <(grep '"kind": "health"' late/smoke/0/metrics.jsonl | cut -d, -f 1-4) \
    <(grep '"kind": "health"' two/smoke/0/metrics.jsonl | cut -d, -f 1-4) >&2 || fail "two ranks tell something else"
# Means over ranks of halves of a batch are others than those of the whole; both are of these images.
deviation() { sed -n 's/.*"step": 15, .*"embedding_std": \([0-9.]*\),.*/\1/p' $1/smoke/0/metrics.jsonl; }
awk -v a="$(deviation late)" -v b="$(deviation two)" 'BEGIN { exit !(a > 0.1 && b / a > 0.8 && b / a < 1.25) }' ||
    fail "embedding_std is $(deviation late) on one rank and $(deviation two) on two"
