#!/usr/bin/env bash
# Runs one fuzzer for some time, from the committed corpus and from what earlier runs have found.
#   tests/fuzz/run.sh TARGET SECONDS [BUILD_FOLDER] [LIBFUZZER_OPTION...]
# TARGET is the name of a fuzz_<TARGET>.c. BUILD_FOLDER (build-fuzz) is configured with clang where
# it is not there yet. Below BUILD_FOLDER/fuzzing stand: corpus/TARGET, what widened the coverage;
# findings/TARGET, inputs that crash, leak or hang; executions/TARGET, how many inputs were tried in
# all; log/TARGET, what libFuzzer said last. Exit status: 0, or that of a finding.
#   tests/fuzz/run.sh minimise TARGET [BUILD_FOLDER]
# adds to the committed corpus what was found and widens its coverage, by the smallest inputs.
set -euo pipefail
source_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

usage() {
    sed -n '2,10s/^# \{0,1\}//p' "$0"
    exit 2
}

prepare() { # TARGET BUILD_FOLDER
    build=$2
    if [ ! -f "$build/CMakeCache.txt" ]; then
        cmake -S "$source_folder" -B "$build" -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ \
            -DWISP_FUZZ=ON -DWISP_SANITIZE=address,undefined >/dev/null
    fi
    program=$build/tests/fuzz/fuzz_${1}_live
    [ -n "${WISP_FUZZ_NO_BUILD:-}" ] || cmake --build "$build" --target "fuzz_${1}_live" -- -s
    committed=$source_folder/tests/fuzz/corpus/$1
    found=$build/fuzzing/corpus/$1
    mkdir -p "$committed" "$found" "$build/fuzzing/findings/$1" "$build/fuzzing"/{executions,log}
}

# Inputs of the last run: libFuzzer's own count, or the last it told before it was stopped.
executed() { # LOG
    awk '/^stat::number_of_executed_units:/ { n = $2 } /^#[0-9]+/ { if (!n) seen = substr($1, 2) + 0 }
         END { print (n ? n : seen) + 0 }' "$1"
}

# What libjpeg and the like allocate for a hostile picture may be large, but has an end.
options=(-max_len=65536 -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 -use_value_profile=0)

fuzz() { # TARGET SECONDS OPTION...
    local target=$1 seconds=$2 code=0 log=$build/fuzzing/log/$1 count=$build/fuzzing/executions/$1
    shift 2
    "$program" "$found" "$committed" "${options[@]}" -max_total_time="$seconds" \
        -artifact_prefix="$build/fuzzing/findings/$target/" "$@" >"$log" 2>&1 || code=$?
    local before=0
    [ ! -f "$count" ] || before=$(<"$count")
    echo $((before + $(executed "$log"))) >"$count.new" && mv "$count.new" "$count"
    [ $code = 0 ] || tail -n 40 "$log" >&2
    echo "$target: $(executed "$log") inputs in this run, $(<"$count") in all"
    return $code
}

# What is committed stays as it is; inputs that add nothing to it are left out.
minimise() { # TARGET
    "$program" -merge=1 -use_counters=0 -max_len=2048 -timeout=20 "$committed" "$found" >"$build/fuzzing/log/$1" 2>&1
    du -sh "$committed"
}

[ $# -ge 2 ] || usage
if [ "$1" = minimise ]; then
    prepare "$2" "${3:-$source_folder/build-fuzz}"
    minimise "$2"
else
    prepare "$1" "${3:-$source_folder/build-fuzz}"
    fuzz "$1" "$2" "${@:4}"
fi
