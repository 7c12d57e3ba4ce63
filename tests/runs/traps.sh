#!/usr/bin/env bash
# traps.sh BUILD_FOLDER: what a re-implementation of the published runs gets wrong without noticing,
# as far as it shows in whole runs. docs/traps.md has the list.
. "$(dirname "$0")/run_kit.sh" "$1"
plugins=$source_folder/plugins

# short NAME FILE OVERRIDES...: a run of one step.
short() {
    run 0 run "$2" run.out="$1" run.steps=1 run.threads=1 run.workers=1 "${@:3}"
}

# changed A B: the tensors that are not the same in two runs' last checkpoints.
changed() {
    "$tools/safetensors_diff" {$1,$2}/smoke/0/checkpoints/last.safetensors |
        sed -n 's/^\(student[^ ]*\): other values$/\1/p' | sort
}

# --- DINO is judged by its student, MoCo by its query encoder ---

for method in dino:student.backbone moco:encoder_q.backbone swav:network.backbone; do
    short "${method%:*}" "$plugins/methods/${method%:*}/test.toml"
    grep '^{"kind": "task"' "${method%:*}/smoke/0/metrics.jsonl" |
        grep -qF "\"network\": \"${method#*:}\"}" || fail "${method%:*} is judged by another network"
done

# --- the joint classifier learns from the first global view, beside MoCo from the second ---

# Without batch norm no view touches the other's embedding. The image of a view is changed by solarizing it.
learned() { # METHOD SOLARIZED_1 SOLARIZED_2: the classifier's loss in the first step
    short "learned_$1_$2$3" "$plugins/backbones/vit/test.toml" method="{ use = \"$1\" }" run.metric_steps=1 \
        sampler.global.solarize="[$2.0, $3.0]" 'probe=[{ use = "linear" }]'
    sed -n 's/^{"kind": "train".*"linear_probe_loss": \([0-9.]*\).*/\1/p' "learned_$1_$2$3"/*/0/metrics.jsonl
}
for method in dino swav moco; do
    plain=$(learned $method 0 0) first=$(learned $method 1 0) second=$(learned $method 0 1)
    [ -n "$plain" ] && [ "$first" != "$second" ] || fail "$method: no loss of the classifier: $plain, $first, $second"
    used=$first unused=$second
    [ $method != moco ] || used=$second unused=$first
    [ "$used" != "$plain" ] && [ "$unused" = "$plain" ] ||
        fail "$method: the classifier learns from another view: $plain, $first, $second"
done

# --- of the learning rates, only the peak follows the batch ---

rates() { # BATCH: the resolved schedule
    run 0 check "$base" run.batch="$1" optimizer.lr=0.0 optimizer.lr_per_256=0.32 \
        schedule.lr.kind=cosine schedule.lr.warmup_epochs=0.5 schedule.lr.warmup_start=0.075 \
        schedule.lr.end=0.0048
    sed -n '/^\[schedule.lr\]/,/^\[/p' out | grep -E '^(value|end|warmup_start) ' | tr -d ' ' | paste -sd' '
}
for batch in 16:0.02 32:0.04; do
    [ "$(rates "${batch%:*}")" = "value=${batch#*:} end=0.0048 warmup_start=0.075" ] ||
        fail "at a batch of ${batch%:*}: $(rates "${batch%:*}")"
done

# --- what is decayed: gains of weight norm and tokens are, vectors are not ---

vit=$plugins/backbones/vit/test.toml
for decay in 0.0 0.5; do
    short vit_$decay "$vit" optimizer.weight_decay=$decay method.train_gain=true \
        method.freeze_last_layer_epochs=0
    short frozen_$decay "$vit" optimizer.weight_decay=$decay method.train_gain=true
done
changed vit_0.0 vit_0.5 >decayed
for name in backbone.cls_token backbone.pos_embed head.last_layer.weight_g head.last_layer.weight_v \
    backbone.blocks.0.attn.qkv.weight; do
    grep -qx "student.$name" decayed || fail "$name is not decayed"
done
grep -E '(bias|norm[12]?[.]weight)$' decayed >&2 && fail "vectors are decayed"

# --- a frozen layer is passed over by decay too ---

changed frozen_0.0 frozen_0.5 >decayed
grep -q 'head.last_layer' decayed && fail "a frozen layer is decayed"
grep -q 'head.mlp.0.weight' decayed || fail "nothing is decayed"

# --- depthwise weights: not decayed, but adapted by LARS ---

mobile=$plugins/backbones/mobilenet_v2/test.toml
for case in plain decayed: unadapted:optimizer.adapt_depthwise=false; do
    decay=0.0
    [ "${case%:*}" != decayed ] || decay=0.5
    override=${case#*:}
    short mobile_${case%:*} "$mobile" optimizer.use=lars optimizer.lr=0.1 \
        optimizer.weight_decay=$decay $([ "$override" = "$case" ] || echo $override)
done
# The first convolution of a block is depthwise in block 1, the second in all others.
depthwise='backbone[.]features[.](1[.]conv[.]0[.]0|([2-9]|1[0-7])[.]conv[.]1[.]0)[.]weight$'
changed mobile_plain mobile_decayed >decayed
grep -E "$depthwise" decayed >&2 && fail "depthwise weights are decayed"
grep -q 'backbone.features.18.0.weight' decayed || fail "nothing is decayed"
changed mobile_plain mobile_unadapted >adapted
[ "$(grep -cE "$depthwise" adapted)" = 17 ] || fail "LARS does not adapt the depthwise weights"
grep -vE "$depthwise" adapted >&2 && fail "it is not depthwise weights alone that were adapted"

# --- looking at gradients changes nothing ---

run 0 run "$base" run.out=seldom run.threads=1 run.workers=1 run.metric_steps=1000
run 0 run "$base" run.out=often run.threads=1 run.workers=1 run.metric_steps=1
[ -z "$(changed seldom often)" ] || fail "metrics change the run"

# --- logits are kept once: the loss does not write probabilities of their size beside them ---

memory() { # OUTPUTS: MiB of a step
    run 0 check "$base" run.batch=64 method.out_dim="$1" --json
    sed -n 's/.*"memory_bytes": \([0-9]*\).*/\1/p' out | tail -n 1
}
# Student rows: 4 views of 64 images; teacher rows: 2. Each output more costs: the student's logit and its
# gradient, the teacher's logit and its target, a column of 32 weights with gradient, twice the moments, and
# as much again for the teacher's copy.
more=$((16384 * 4 * (4 * 64 * 2 + 2 * 64 * 2 + 32 * 6)))
grown=$(($(memory 24576) - $(memory 8192)))
[ "$grown" -lt $((more * 5 / 4)) ] && [ "$grown" -gt $((more / 2)) ] ||
    fail "16384 outputs more take $grown bytes, not about $more"
