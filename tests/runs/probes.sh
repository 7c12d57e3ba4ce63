#!/usr/bin/env bash
# probes.sh BUILD_FOLDER: a probe that learns beside the method leaves no trace in it, clipping
# included; results of several tables of one plugin can be told apart.
. "$(dirname "$0")/run_kit.sh" "$1"

write_experiment() { # NAME, with more lines from the input
    {
        cat <<END
extends = "$base"
[run]
threads = 1
workers = 1
metric_steps = 1
out = "$1"
[optimizer]
clip = 0.05
END
        cat
    } >$1.toml
    run 0 run $1.toml "${@:2}"
}

# differences A B: what differs between the last checkpoints, but for the probes and their records.
differences() {
    "$tools/safetensors_diff" {$1,$2}/smoke/0/checkpoints/last.safetensors |
        grep '^[^ ]*: ' | grep -v -e '^wisp[.]' -e 'probe[0-9]'
}

# norms RUN: what it says of the gradient's length, step by step.
norms() {
    grep -o '"grad_norm": [0-9.]*' $1/smoke/0/metrics.jsonl
}

# --- the method's weights, moments and norms are the same to the last bit ---

learns='[[probe]]
use = "linear"
[[probe]]
use = "linear"
init = "normal"'
for way in false true; do
    clip=optimizer.clip_per_tensor=$way
    write_experiment alone_$way $clip </dev/null
    write_experiment watched_$way $clip <<<"$learns"
    "$tools/safetensors_diff" {alone,watched}_$way/smoke/0/checkpoints/last.safetensors >all
    grep -q "^probe1[.]classifier[.]weight: only in the second file" all ||
        fail "the probes left no weights"
    [ -z "$(differences alone_$way watched_$way)" ] ||
        fail "probes change the method: $(differences alone_$way watched_$way)"
    [ "$(norms alone_$way | wc -l)" = 2 ] || fail "grad_norm is not told"
    diff <(norms alone_$way) <(norms watched_$way) >&2 || fail "probes are part of grad_norm"
done
[ -n "$(differences alone_false alone_true)" ] || fail "clip changes nothing"

# --- several tables of one plugin ---

write_experiment several run.baselines=true <<END
[[probe]]
use = "knn"
k = 3
[[probe]]
use = "linear"
[[probe]]
use = "knn"
k = 7
[[probe]]
use = "linear"
init = "normal"
[[task]]
use = "knn"
k = 40
[[task]]
use = "linear_probe"
epochs = 2
batch = 64
[[task]]
use = "knn"
k = 1
END
cp out said
task='[[task]]
use = "knn"
k ='
write_experiment first run.baselines=true <<<"$task 40"
grep '^k-NN.*trained' out >first_said
write_experiment third run.baselines=true <<<"$task 1"
grep '^k-NN.*trained' out >third_said
diff first_said third_said >/dev/null && fail "both give the same numbers: nothing to tell apart"
[ -s first_said ] || fail "nothing is summed up"
diff first_said <(grep '^k-NN.*trained' said) >&2 || fail "the first table has other numbers"
diff third_said <(sed -n 's/^knn[.]2 k-NN\(.*trained\)/k-NN\1/p' said) >&2 || fail "the second one has others"

metrics=several/smoke/0/metrics.jsonl
"$tools/json_lines" $metrics || fail "the metrics are no JSON"
logged() { # KIND KEY K
    grep -q "^{\"kind\": \"$1\".* \"$2\": [0-9.]*, \"protocol\": {\"k\": $3," $metrics ||
        fail "no $2 with k = $3 of kind $1"
    grep -qaF "$1/$2" several/smoke/0/events.out.tfevents.0.wisp || fail "no event $1/$2"
}
logged probe k_nn_top_1 3
logged probe knn_2_k_nn_top_1 7
for kind in raw_pixels untrained task; do
    logged $kind k_nn_top_1 40
    logged $kind knn_2_k_nn_top_1 1
done
for key in linear_probe_top_1 linear_2_probe_top_1; do
    [ "$(grep "^{\"kind\": \"probe\"" $metrics | grep -c "\"$key\"")" = 1 ] || fail "no single $key"
done
grep '"linear_probe_loss": [0-9.]*, "linear_2_probe_loss": [0-9.]*' -o $metrics |
    awk '$2 + 0 == $4 + 0 { same = 1 } END { exit same || NR != 2 }' ||
    fail "the losses of both learning probes are not told"
printf '%s 40\n%s 1\n' "$task" "$task" >tasks.toml
run 0 eval several/smoke/0 tasks.toml
[ "$(cut -d : -f 1 out | grep -v top-5 | paste -sd ,)" = "k-NN top-1,knn.2 k-NN top-1" ] ||
    fail "eval names its results in another way"
