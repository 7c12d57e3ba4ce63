#!/usr/bin/env bash
# quickstart.sh BUILD_FOLDER: the README's first experiment, as it stands, learns: its last line has
# the trained backbone 15 points above raw pixels and above the untrained one.
. "$(dirname "$0")/run_kit.sh" "$1"

run 0 run "$source_folder/configs/quickstart.toml"
tail -n 1 out | sed -n 's/^k-NN top-1: raw pixels \([0-9.]*\) %, untrained \([0-9.]*\) %, trained \([0-9.]*\) %$/\1 \2 \3/p' >line
read -r pixels untrained trained <line || fail "the last line is not as promised"
awk -v p="$pixels" -v u="$untrained" -v t="$trained" 'BEGIN { exit !(t >= p + 15 && t >= u + 15) }' ||
    fail "trained: $trained %, raw pixels: $pixels %, untrained: $untrained %"
