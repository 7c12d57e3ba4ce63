#!/usr/bin/env bash
# wisp ops: the checks are run and counted; what they find is tested elsewhere.
. "$(dirname "$0")/expect.bash"

expect 0 ops test softmax
says "pass" "softmax/" "0 failed"
expect 0 ops test 'softmax/*/f32' --json
value fail 0
n=$("$json" pass <"$work/out")
value 'results.#' "$n"
[ "$n" -gt 0 ] || complain "$call: nothing was checked"
expect 0 ops test softmax --backend reference
says "reference" "0 failed"
expect 0 ops grad softmax
says "pass" "0 failed"
expect 0 ops grad softmax --json
value fail 0
expect 0 ops support softmax
says "softmax" "f32" "bf16"
expect 0 ops support softmax --json
value results.0.op softmax
expect 0 ops perf softmax --json
value results.0.outcome pass
finish
