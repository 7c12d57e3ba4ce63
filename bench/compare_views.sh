#!/usr/bin/env bash
# Makes views with wisp, torchvision and OpenCV in turn and prints medians of source images/s and ratios.
#   compare_views.sh BUILD PYTHON PHOTOS [CASE [ROUNDS [SECONDS [PEER...]]]]
# CASE: chain (2 x 224 + 6 x 96 px, the default) or global (2 x 224 px), with -1 or -2 workers: chain-1,
# chain-2, global-1, global-2. PEERs: pil, tensor, v2 (torchvision's three ways) and opencv; by default pil, v2
# and opencv. Everything begins with the JPEG files' bytes in memory and ends with normalised f32 batches.
# decode: libjpeg-turbo alone on whole pictures. Crops are DINO's: 0.4 to 1 of the area, local ones 0.05 to 0.4;
# GLOBAL_SCALE="0.14 1" and LOCAL_SCALE="0.05 0.14" in the environment make them those of SSLight's baseline.
set -euo pipefail
[ $# -ge 3 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2; }
build=$1 python=$2 photos=$3 case=${4:-chain-1} rounds=${5:-3} seconds=${6:-3}
shift $(($# > 6 ? 6 : $#))
peers=("$@")
[ ${#peers[@]} -gt 0 ] || peers=(pil v2 opencv)
here=$(cd "$(dirname "$0")" && pwd)
global=(${GLOBAL_SCALE:-0.4 1.0}) local=(${LOCAL_SCALE:-0.05 0.4})
case $case in chain-*) locals=6 ;; *) locals=0 ;; esac
workers=${case##*-}
peer=("$photos" --locals "$locals" --seconds "$seconds" --global-scale "${global[@]}" --local-scale "${local[@]}")
rate() { sed -n 's/.*"images_per_s": \([0-9.]*\).*/\1/p'; }
median() { printf '%s\n' "$@" | sort -g | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }

measure() {
    case $1 in
    decode) "$build/bench/decode_photos" "$photos" 1 ;;
    wisp) "$build/wisp" bench views "$photos" --memory --json --quiet --workers "$workers" --seconds "$seconds" \
        sampler.local.count="$locals" sampler.global.scale="[${global[0]}, ${global[1]}]" \
        sampler.local.scale="[${local[0]}, ${local[1]}]" ;;
    opencv) "$python" "$here/peers/opencv_views.py" "${peer[@]}" --workers "$workers" ;;
    *) "$python" "$here/peers/torch_views.py" "${peer[@]}" --path "$1" \
        --workers $((workers > 1 ? workers : 0)) 2>/dev/null ;;
    esac | rate | xargs printf '%.1f'
}

declare -A rates
for _ in $(seq "$rounds"); do
    for who in decode wisp "${peers[@]}"; do
        rates[$who]+=" $(measure "$who")"
    done
done
ours=$(median ${rates[wisp]})
for who in wisp "${peers[@]}" decode; do
    theirs=$(median ${rates[$who]})
    awk -v c="$case" -v w="$who" -v t="$theirs" -v o="$ours" -v all="${rates[$who]}" \
        'BEGIN { printf "%-9s %-7s %8.1f images/s  wisp is %5.2f times as fast  (rounds:%s)\n", c, w, t, o / t, all }'
done
