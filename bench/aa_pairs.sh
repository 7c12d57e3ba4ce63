#!/usr/bin/env bash
# aa_pairs.sh WISP [FOLDER]: 20 comparisons of an experiment with itself, of 4 pairs of other seeds
# each, so that all that differs is chance. At a level of 5 % one of them is expected to find a
# difference where there is none; five or more have a probability of 0.3 %, and fail this script.
# 160 runs of a second or two; FOLDER keeps them, and the same call goes on.
set -euo pipefail
wisp=$(realpath "$1")
experiment=$(realpath "$(dirname "$0")")/aa_pairs.toml
folder=${2:-$(mktemp -d)}
comparisons=20 pairs=4 most=4

compare() {
    "$wisp" compare "$experiment" "$experiment" --seed-offset B:1000 --out "$folder" --name aa \
        --metrics k_nn_top_1 "$@"
}

compare --seeds $((comparisons * pairs)) --jobs "$(nproc)" --quiet
found=0
for ((i = 0; i < comparisons; i++)); do
    seeds=$(seq -s, $((i * pairs)) $((i * pairs + pairs - 1)))
    verdict=$(compare --seeds "$seeds" --json --quiet | sed -n 's/^ *"verdict": "\(.*\)",*$/\1/p')
    [ -n "$verdict" ] || { echo "no verdict on seeds $seeds" >&2; exit 1; }
    echo "seeds $seeds: $verdict"
    [ "$verdict" = "no difference shown" ] || found=$((found + 1))
done
echo "$found of $comparisons comparisons of equal experiments found a difference; $most are allowed"
[ $found -le $most ]
