#!/usr/bin/env bash
# wisp check: the sizes of backbones are the published ones. Published state entries count the two of a
# classifier and, for each batch norm, the batches it has seen; neither is kept here.
. "$(dirname "$0")/expect.bash"

# sizes BACKBONE DIM PARAMETERS MACS STATE_ENTRIES CONVOLUTIONS BATCH_NORMS CHANNELS [KEY=VALUE...]: one
# image of 224 px.
sizes() {
    local name=$1 dim=$2 parameters=$3 macs=$4 entries=$5 convolutions=$6 norms=$7 channels=$8
    shift 8
    expect 0 check "$source/plugins/backbones/$name/test.toml" --json input.eval_size=224 \
        input.eval_resize=256 "$@"
    value backbone.dim "$dim"
    value backbone.parameters "$parameters"
    value backbone.macs_at 224
    value backbone.macs "$macs"
    value backbone.tensors $((entries - 2 - norms))
    value backbone.convolutions "$convolutions"
    value backbone.batch_norms "$norms"
    value backbone.norm_channels "$channels"
}

sizes mobilenet_v2 1280 2223872 299494272 314 52 52 17056 backbone.width=1.0 backbone.stem=imagenet
imagenet=(backbone.width=1.0 backbone.stem=imagenet)
sizes resnet 512 11176512 1813561344 122 20 20 4800 backbone.depth=18 "${imagenet[@]}"
sizes resnet 512 21284672 3663249408 218 36 36 8512 backbone.depth=34 "${imagenet[@]}"
sizes resnet 2048 23508032 4087136256 320 53 53 26560 backbone.depth=50 "${imagenet[@]}"
sizes vit 192 5524416 1253491200 152 1 0 0 backbone.dim=192 backbone.depth=12 backbone.patch_size=16 \
    backbone.image_size=224 sampler.global.size=224 sampler.local.size=96
finish
