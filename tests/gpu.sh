#!/usr/bin/env bash
# gpu.sh [OUT]: everything that wants a GPU, in one command of at most ten minutes: builds wisp with its
# cuda backend, tests it, compares it with the cpu backend and with PyTorch, and writes a table.
#   gpu.sh packages FOLDER    downloads the Debian packages that the build needs, for a machine
#                             without a network: WISP_PACKAGES=FOLDER unpacks and uses them there
# OUT (default scratch/gpu) gets table.md and a log for each part. From the environment:
#   WISP_PARTS="..."   only these parts, of those named below; `build` makes OUT/build anew or goes on
#   PYTHON             of a PyTorch with CUDA, for the benchmarks (default python3)
#   WISP_PHOTOS        a folder of JPEG files, for training from disk
#   WISP_SOFTGPU=1     the software device instead of a GPU: shows that this script works, in an hour or so
# Exit code 1 when a part failed; what failed last is printed last.
set -uo pipefail
source=$(cd "$(dirname "$0")/.." && pwd)
all_parts="device build ops_f32 ops_bf16 training bench disk deterministic memcheck racecheck capture suite"
packages=(libdnnl2 libdnnl-dev libtomlplusplus3 libtomlplusplus-dev libjpeg62-turbo libjpeg62-turbo-dev
          libpng16-16 libpng-dev zlib1g-dev libjansson4 libjansson-dev libeigen3-dev check libsubunit0 libsubunit-dev)

if [ "${1:-}" = packages ]; then
    mkdir -p "$2" && cd "$2" && exec apt-get download "${packages[@]}"
fi
out=${1:-$source/scratch/gpu}
mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 2
build=$out/build
parts=${WISP_PARTS:-$all_parts}
: >"$out/table.md"
: >"$out/figures.md"

# --- what every part may use ---

# Packages that are unpacked instead of installed are found through pkg-config's and CMake's own means.
use_packages() {
    [ -n "${WISP_PACKAGES:-}" ] || return 0
    local root=$out/packages library file
    library=$root/usr/lib/x86_64-linux-gnu
    if [ ! -d "$root" ]; then
        for file in "$WISP_PACKAGES"/*.deb; do dpkg -x "$file" "$root" || return 1; done
    fi
    export PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_PATH=$library/pkgconfig
    export CMAKE_PREFIX_PATH=$root/usr LIBRARY_PATH=$library
    export LD_LIBRARY_PATH=$library${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
}

use_device() {
    if [ -n "${WISP_SOFTGPU:-}" ]; then
        export LD_LIBRARY_PATH=$build/softgpu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
        export WISP_PLUGIN_PATH=$build/softgpu/plugins
    else
        export WISP_REAL_GPU=1
    fi
}

say_figure() { echo "$*" | tee -a "$out/figures.md"; }

field() { sed -n "s/.*\"$1\": \([0-9.]*\).*/\1/p"; }

# SKIPPED is exit code 77, as ctest has it.
skip() { echo "SKIPPED: $*"; exit 77; }

# --- the parts: each runs in a shell of its own, with its own log and time limit ---

part_device() { # 20 s
    if [ -n "${WISP_SOFTGPU:-}" ]; then echo "the software device"; return 0; fi
    nvidia-smi --query-gpu=name,driver_version,memory.total,compute_cap --format=csv
    nvcc --version | tail -n 2
    say_figure "- device: $(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader | head -n 1)"
    say_figure "- $(nproc) processors, $(nvcc --version | sed -n 's/.*release \([^,]*\),.*/nvcc \1/p')"
}

part_build() { # 150 s
    cmake -S "$source" -B "$build" -DCMAKE_BUILD_TYPE=Release -DWISP_WERROR=ON || return 1
    cmake --build "$build" --parallel "$(nproc)" || return 1
    [ -n "${WISP_SOFTGPU:-}" ] || [ -f "$build/plugins/wisp-backend-cuda.so" ] ||
        { echo "the cuda backend was not built"; return 1; }
}

part_ops_f32() { "$source/tests/cuda/every_op.sh" "$build" f32; } # 60 s
part_ops_bf16() { "$source/tests/cuda/every_op.sh" "$build" bf16; } # 60 s
part_training() { "$source/tests/cuda/cpu_losses.sh" "$build"; } # 120 s

part_suite() { # 150 s: with `device = "auto"`, which takes the GPU
    ctest --test-dir "$build" --output-on-failure --parallel "$(($(nproc) / 2 + 1))" -LE "slow|cuda|ranks"
}

sanitized() {
    command -v compute-sanitizer >/dev/null || skip "there is no compute-sanitizer"
    [ -z "${WISP_SOFTGPU:-}" ] || skip "needs a GPU"
    compute-sanitizer --tool "$1" --error-exitcode 9 --print-limit 20 \
        "$build/wisp" ops test "$2" --backend cuda | tail -n 40
}
part_memcheck() { sanitized memcheck '*/*/bf16'; } # 90 s
part_racecheck() { sanitized racecheck '*/*/f32'; } # 90 s

part_capture() { # 30 s: the calls of a steady step
    [ ! -x "$source/tests/cuda/steady_step.sh" ] || "$source/tests/cuda/steady_step.sh" "$build"
}

# step_rate MODEL BATCH KEY=VALUE...: images/s of wisp.
step_rate() {
    local backbone=(--backbone "$1") batch=$2
    case $1 in
    resnet*) backbone=(--depth "${1#resnet}") ;;
    vit_tiny) backbone=(--backbone vit) ;;
    esac
    shift 2
    WISP_PLUGIN_PATH=$build/plugins "$build/bench/train_step" "${WISP_PLUGIN_PATH:-$build/plugins}" --device cuda --shape "$shape" --batch "$batch" --bf16 \
        "${backbone[@]}" --steps 5 --seconds 8 --json "$@"
}

part_deterministic() { # 150 s: the same bits twice, and what that costs
    local a b
    "$source/tests/cuda/repeats.sh" "$build" || return 1
    a=$(step_rate resnet18 "$small_batch" | field images_per_s)
    b=$(step_rate resnet18 "$small_batch" run.deterministic=true | field images_per_s)
    [ -n "$a" ] && [ -n "$b" ] || return 1
    say_figure "- deterministic = true: ResNet18 at batch $small_batch, bf16: $b images/s instead of $a"
}

# peer_rate MODEL BATCH OPTIONS...: images/s of PyTorch; empty where it did not run.
peer_rate() {
    timeout 100 "${PYTHON:-python3}" "$source/bench/peers/torch_train_step.py" --model "$1" --batch "$2" \
        "${@:3}" 2>>"$out/peer.err" | tail -n 1
}

part_bench() { # 400 s
    local model batch own eager compiled best
    "${PYTHON:-python3}" -c 'import torch; assert torch.cuda.is_available(); print(torch.__version__)' ||
        [ -n "${WISP_SOFTGPU:-}" ] || skip "no PyTorch with CUDA at ${PYTHON:-python3}"
    say_figure ""
    say_figure "| network | batch | wisp, images/s | PyTorch eager | torch.compile | ratio to the better | share of the matrix rate |"
    say_figure "| --- | --- | --- | --- | --- | --- | --- |"
    for model in $models; do
        batch=$bench_batch
        own=$(step_rate $model "$batch") || return 1
        if [ -z "${WISP_SOFTGPU:-}" ]; then
            eager=$(peer_rate $model "$batch" | field images_per_s)
            compiled=$(peer_rate $model "$batch" --compile | field images_per_s)
        else
            eager= compiled=
        fi
        best=$(printf '%s\n' "${eager:-0}" "${compiled:-0}" | sort -g | tail -n 1)
        say_figure "| $model | $batch | $(field images_per_s <<<"$own") | ${eager:--} | ${compiled:--} | $(
            awk -v a="$(field images_per_s <<<"$own")" -v b="$best" 'BEGIN { if (b > 0) printf "%.2f", a / b; else printf "-" }') | $(
            awk -v a="$(field gflops <<<"$own")" -v b="$(field peak_gflops <<<"$own")" 'BEGIN { printf "%.0f %%", 100 * a / b }') |"
    done
}

part_disk() { # 60 s
    [ -d "${WISP_PHOTOS:-}" ] || skip "WISP_PHOTOS names no folder of JPEG files"
    "$source/tests/cuda/from_disk.sh" "$build" "$WISP_PHOTOS" "$bench_batch" | tee "$out/disk.txt" || return 1
    say_figure "- $(tail -n 1 "$out/disk.txt")"
}

# --- one after the other ---

shape=imagenet bench_batch=${WISP_BENCH_BATCH:-256} small_batch=64
models="resnet18 mobilenet_v2 vit_tiny"
if [ -n "${WISP_SOFTGPU:-}" ]; then shape=tiny bench_batch=4 small_batch=4 models="resnet18 mobilenet_v2"; fi
patience=1 # times the limits, which are those of a GPU and sixteen processors
[ -z "${WISP_SOFTGPU:-}" ] || patience=12
last_failure=
echo "| part | result | seconds |" >>"$out/table.md"
echo "| --- | --- | --- |" >>"$out/table.md"
use_packages || { echo "gpu.sh: the packages in $WISP_PACKAGES cannot be unpacked" >&2; exit 2; }
export -f say_figure field skip sanitized step_rate peer_rate
export source out build shape models bench_batch small_batch

not_begun() {
    echo "| $1 | FAILED: $2 | 0 |" | tee -a "$out/table.md"
    echo "not begun" >"$out/$1.log"
    last_failure=$1
}

for part in $parts; do
    if [ $SECONDS -gt $((570 * patience)) ]; then
        not_begun "$part" "ten minutes were over; WISP_PARTS=$part runs it alone"
        continue
    fi
    if [ "$last_failure" = build ]; then
        not_begun "$part" "there is no build"
        last_failure=build
        continue
    fi
    declare -F part_$part >/dev/null || { echo "gpu.sh: there is no part $part; there are: $all_parts" >&2; exit 2; }
    [ "$part" = device ] || [ "$part" = build ] || use_device
    limit=$(sed -n "s/^part_$part() {.*# \([0-9]*\) s.*/\1/p" "$0")
    export -f part_$part
    began=$SECONDS code=0
    limit=$((${limit:-60} * patience)) left=$((600 * patience - SECONDS))
    [ "$limit" -lt "$left" ] || limit=$left
    timeout -k 5 "$limit" bash -o pipefail -c "part_$part" >"$out/$part.log" 2>&1 || code=$?
    case $code in
    0) result=passed ;;
    77) result="$(grep -o 'SKIPPED.*' "$out/$part.log" | tail -n 1)" ;;
    124 | 137) result="FAILED: not done after $limit s" ;;
    *) result="FAILED: $(grep . "$out/$part.log" | tail -n 1 | cut -c 1-150)" ;;
    esac
    case $result in FAILED*) last_failure=$part ;; esac
    echo "| $part | $result | $((SECONDS - began)) |" | tee -a "$out/table.md"
done
cat "$out/figures.md" >>"$out/table.md"
cat "$out/figures.md"
[ -z "$last_failure" ] || { echo; echo "last failure: $last_failure"; tail -n 60 "$out/$last_failure.log"; exit 1; }
