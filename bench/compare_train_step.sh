#!/usr/bin/env bash
# Runs bench/train_step and a PyTorch script on the same work in turn and prints the ratio of the medians.
#   compare_train_step.sh BUILD PYTHON PEER.py SHAPE BATCH f32|bf16 [ROUNDS [MODEL]]
# MODEL: resnet18 (the default), resnet34, mobilenet_v2 or vit_tiny.
# PEER.py takes --model --shape --batch --dtype --channels-last --steps and prints one JSON line with
# images_per_s and peak_rss_mib. PyTorch gets the allocator settings that serve it best.
set -euo pipefail
[ $# -ge 6 ] || { sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 2; }
build=$1 python=$2 peer=$3 shape=$4 batch=$5 dtype=$6 rounds=${7:-3} model=${8:-resnet18}
export malloc=glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=8589934592:glibc.malloc.top_pad=268435456
ours=() theirs=()
case $model in
resnet*) backbone=(--depth "${model#resnet}") ;;
vit_tiny) backbone=(--backbone vit) ;;
*) backbone=(--backbone "$model") ;;
esac
field() { sed -n "s/.*\"$1\": \([0-9.]*\).*/\1/p"; }
median() { printf '%s\n' "$@" | sort -g | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }
[ "$dtype" = bf16 ] && own=--bf16 || own=
[ "$dtype" = bf16 ] && other=bf16 || other=fp32
[ "$shape" = tiny ] && width=4 || width=64
for _ in $(seq "$rounds"); do
    a=$("$build/bench/train_step" "$build/plugins" --shape "$shape" --batch "$batch" \
        "${backbone[@]}" $own --json)
    b=$(GLIBC_TUNABLES=$malloc "$python" "$peer" --model "$model" --shape "$shape" --batch "$batch" \
        --width "$width" --dtype "$other" --channels-last --steps 5 2>/dev/null)
    ours+=("$(field images_per_s <<<"$a")") theirs+=("$(field images_per_s <<<"$b")")
    echo "wisp ${ours[-1]} images/s, $(field peak_rss_mib <<<"$a") MiB; PyTorch ${theirs[-1]} images/s, $(field peak_rss_mib <<<"$b") MiB"
done
awk -v a="$(median "${ours[@]}")" -v b="$(median "${theirs[@]}")" \
    'BEGIN { printf "medians: wisp %g, PyTorch %g images/s, ratio %.2f\n", a, b, a / b }'
