#!/usr/bin/env bash
# from_disk.sh BUILD_FOLDER PHOTOS BATCH: images/s of training from JPEG files beside the rate of the same
# step on views that are ready in memory. PHOTOS are copied (as links) until there are twelve batches.
photos=$(cd "$2" && pwd) batch=$3
. "$(dirname "$0")/cuda_kit.sh" "$1"
shape=${shape:-imagenet} global=224 local=96
[ "$shape" = imagenet ] || { global=8 local=4; }
mkdir -p folder/all
mapfile -t files < <(find -L "$photos" -iname '*.jp*g' | sort)
[ ${#files[@]} -gt 0 ] || fail "there is no JPEG file in $photos"
for ((i = 0; i < 12 * batch; i++)); do
    file=${files[i % ${#files[@]}]}
    ln -s "$file" folder/all/$i.jpg
done
cat >disk.toml <<END
[run]
name = "disk"
device = "cuda"
precision = "bf16"
batch = $batch
epochs = 3
metric_steps = 6
[data]
use = "image_folder"
path = "$PWD/folder"
[sampler]
use = "multicrop"
global = { count = 2, size = $global }
local = { count = 6, size = $local }
[backbone]
use = "resnet"
[method]
use = "dino"
[optimizer]
use = "adamw"
lr = 1e-4
END
[ "$shape" = imagenet ] || sed -i 's/use = "resnet"/use = "resnet"\nwidth = 0.0625\nstem = "cifar"/; s/use = "dino"/use = "dino"\nout_dim = 64\nhidden_dim = 32\nbottleneck_dim = 32/' disk.toml
run 0 run disk.toml
rate() { sed -n "s/.*\"$1\": \([0-9.]*\).*/\1/p"; }
disk=$(grep -o '[0-9.]* images/s' out | tail -n 1 | sed 's/ .*//')
memory=$(WISP_PLUGIN_PATH=$build/plugins "$build/bench/train_step" "${WISP_PLUGIN_PATH:-$build/plugins}" --device cuda --shape "$shape" --batch "$batch" --bf16 --json | rate images_per_s)
[ -n "$disk" ] && [ -n "$memory" ] || fail "a rate is missing: disk $disk, memory $memory"
awk -v d="$disk" -v m="$memory" -v n="$(nproc)" -v b="$batch" 'BEGIN {
    printf "from disk, ResNet18, batch %d, %d processors: %.0f images/s, %.2f of the %.0f in memory\n", b, n, d, d / m, m }'
