#!/usr/bin/env bash
# probes.sh BUILD_FOLDER: a probe that learns beside the method leaves no trace in it, clipping
# included.
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
        grep -v -e '^wisp[.]' -e '[.]*probe[0-9][.]'
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
