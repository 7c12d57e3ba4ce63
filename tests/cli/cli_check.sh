#!/usr/bin/env bash
# wisp check: the sizes of backbones are the published ones.
. "$(dirname "$0")/expect.bash"

# sizes BACKBONE DIM PARAMETERS MACS [KEY=VALUE...]: one image of 224 px.
sizes() {
    local name=$1 dim=$2 parameters=$3 macs=$4
    shift 4
    expect 0 check "$source/plugins/backbones/$name/test.toml" --json input.eval_size=224 \
        input.eval_resize=256 "$@"
    value backbone.dim "$dim"
    value backbone.parameters "$parameters"
    value backbone.macs_at 224
    value backbone.macs "$macs"
}

sizes mobilenet_v2 1280 2223872 299494272 backbone.width=1.0 backbone.stem=imagenet
imagenet=(backbone.width=1.0 backbone.stem=imagenet)
sizes resnet 512 11176512 1813561344 backbone.depth=18 "${imagenet[@]}"
sizes resnet 512 21284672 3663249408 backbone.depth=34 "${imagenet[@]}"
sizes resnet 2048 23508032 4087136256 backbone.depth=50 "${imagenet[@]}"
sizes vit 192 5524416 1253491200 backbone.dim=192 backbone.depth=12 backbone.patch_size=16 \
    backbone.image_size=224 sampler.global.size=224 sampler.local.size=96
finish
