#!/usr/bin/env bash
# health.sh BUILD_FOLDER: collapses that are planted are told of once, with their cause, and end the run
# on a healthy checkpoint where they shall; a healthy run is left alone. Measuring changes no weight.
. "$(dirname "$0")/run_kit.sh" "$1"

# health NAME: its lines of kind health.
health() {
    grep '"kind": "health"' $1/smoke/0/metrics.jsonl
}

# collapses NAME METRIC WORDS: it was told of once, about this metric, in the log and in the metrics.
collapses() {
    says "the training has collapsed: $3" "What may help:"
    [ "$(grep -c "has collapsed" err)" = 1 ] || fail "$1: it does not warn just once"
    [ "$(health $1 | wc -l)" = 1 ] || fail "$1: not one line of kind health"
    health $1 | grep -q "\"since\": [0-9]*, \"$2\": [-0-9.e]*, \"words\": \"the training has collapsed: $3" ||
        fail "$1: the line does not tell of $2"
    "$tools/json_lines" $1/smoke/0/metrics.jsonl || fail "$1: the metrics are no JSON"
}

is_healthy() {
    grep -q "collapsed" err && fail "$1: a healthy run is warned of"
    health $1 && fail "$1: a healthy run has a line of kind health"
    return 0
}

# step_of NAME CHECKPOINT
step_of() {
    head -c 200000 $1/smoke/0/checkpoints/$2.safetensors | grep -ao '{\\"step\\": [0-9]*' | grep -o '[0-9]*$'
}

long=$'epochs = 100\nsteps = 260'
