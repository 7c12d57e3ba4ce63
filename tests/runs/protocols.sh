#!/usr/bin/env bash
# protocols.sh BUILD_FOLDER: what is said with a number. Best and last epoch of the probes; the
# method's own classifier, in the run and on its stored weights; class tokens, and who has none; the
# view and the network in every protocol.
. "$(dirname "$0")/run_kit.sh" "$1"

one_view='[sampler]
global = { count = 1, size = 16 }
local = { count = 0 }'
judged='[[probe]]
use = "classify"
[[task]]
use = "classify"'

cat >supervised.toml <<END
extends = "$base"
[run]
epochs = 8
steps = 0
threads = 1
workers = 1
out = "runs"
[input]
eval_resize = 20
$one_view
[method]
use = "supervised"
[optimizer]
use = "sgd"
lr = 0.5
weight_decay = 0.0
$judged
END

# --- best and last ---

run 0 run supervised.toml
cp out said
metrics=runs/smoke/0/metrics.jsonl
"$tools/json_lines" $metrics || fail "the metrics are no JSON"

# column KIND KEY: epoch and value of each line.
column() {
    sed -n "s/^{\"kind\": \"$1\", \"epoch\": \([0-9]*\), .* \"$2\": \([0-9.e+-]*\), .*/\1 \2/p" $metrics
}
column probe classifier_top_1 >top1
column probe classifier_top_5 >top5
[ "$(wc -l <top1)" = 8 ] || fail "the probe was not judged after every epoch"
best=$(sort -k2,2gr -k1,1n top1 | head -n 1)
[ "$(sort -k2,2gr -k1,1n top1 | head -n 1)" != "$(tail -n 1 top1)" ] ||
    fail "the best epoch is the last: nothing to tell apart"
[ "$(column best_probe classifier_top_1)" = "$best" ] || fail "best_probe is not the best: $best"
[ "$(column best_probe classifier_top_5)" = "$(grep "^${best% *} " top5)" ] ||
    fail "top-5 is not that of top-1's best epoch"
grep -qxF "$(printf 'classifier top-1: last epoch %.2f %%, best epoch %.2f %% (epoch %d of 8)' \
    "$(tail -n 1 top1 | cut -d ' ' -f 2)" "${best#* }" "${best% *}")" said ||
    fail "the summary says: $(grep classifier said)"
[ "$(column task classifier_top_1 | cut -d ' ' -f 2)" = "$(tail -n 1 top1 | cut -d ' ' -f 2)" ] ||
    fail "the task is not the last epoch"
run 0 run supervised.toml --json
"$tools/json_lines" out >&2 || fail "run --json gives no JSON"
grep -q '"probes": \[{"metric": "classifier top-1", "last": ' out || fail "no probes in the JSON"

# A run that is interrupted knows the epochs before.
for steps in 13 0; do
    run 0 run supervised.toml run.out=stopped run.steps=$steps
done
diff <(column best_probe classifier_top_1) \
    <(metrics=stopped/smoke/0/metrics.jsonl; column best_probe classifier_top_1 | tail -n 1) >&2 ||
    fail "the best epoch of an interrupted run is another"

# An epoch of four steps that has begun is the one that is judged.
for steps in 3:1 13:4; do
    run 0 run supervised.toml run.out=part run.name=part_${steps%:*} run.steps=${steps%:*}
    grep -q "^classifier top-1: last epoch .* of ${steps#*:})$" out || fail "after ${steps%:*} steps: $(cat out)"
done

# Untrained, it is judged too; raw pixels have no classifier.
run 0 run supervised.toml run.out=base run.baselines=true run.steps=4
grep -q '^{"kind": "untrained".*"classifier_top_1"' base/smoke/0/metrics.jsonl ||
    fail "the untrained classifier was not judged"
grep -q raw_pixels base/smoke/0/metrics.jsonl && fail "raw pixels were classified"

# --- the classifier in a checkpoint ---

printf '%s\n' "$judged" | sed -n '/task/,$p' >classify.toml
run 0 eval runs/smoke/0 classify.toml --json
value=$(sed -n 's/^ *"value": \([0-9.]*\).*/\1/p' out | head -n 1 | awk '{ printf "%.9g", $1 }')
[ "$value" = "$(column task classifier_top_1 | cut -d ' ' -f 2)" ] ||
    fail "eval judges another classifier: $value"
grep -q '"eval_resize": 20' out && grep -q '"eval_size": 16' out &&
    grep -q '"network": "network.backbone"' out || fail "view or network are not in the protocol"

refused() { # FILE WORDS...
    local file=$1
    shift
    run 2 check "$file"
    says "$@"
}
printf 'extends = "%s"\n%s\n' "$base" "$judged" >none.toml
refused none.toml "[[task.0]]" "method dino has no classifier to judge"
sed 's/count = 1,/count = 2,/' supervised.toml >two.toml
refused two.toml "method supervised needs 1 to 1 global views"
sed 's/^local.*/local = { count = 2, size = 8 }/' supervised.toml >local.toml
refused local.toml "method supervised needs no local views"
mkdir flat
cp "$(find "$source_folder/tests/data" -name '*.jp*g' | sort | head -n 1)" flat/
sed '/probe/,$d; /^\[run\]$/d; /^\(epochs\|steps\|threads\|workers\|out\) /d' supervised.toml >unlabelled.toml
printf '[data]\nuse = "image_folder"\npath = "flat"\n[run]\nbatch = 1\n' >>unlabelled.toml
refused unlabelled.toml "method supervised needs labels"

# --- class tokens ---

features() { # BACKBONE BLOCKS: k-NN and the classifier on class tokens, k-NN on the pooled embedding
    cat <<END
extends = "$1"
[run]
out = "tokens"
[[task]]
use = "knn"
k = 3
[[task]]
use = "knn"
k = 3
features = "class_tokens"
blocks = $2
[[task]]
use = "linear_probe"
epochs = 2
batch = 16
features = "class_tokens"
blocks = $2
END
}
vit=$source_folder/plugins/backbones/vit/test.toml
features "$vit" 1 >tokens.toml
run 0 run tokens.toml
top() { sed -n "s/^$1: .*trained \([0-9.]* %\)$/\1/p" out; }
[ -n "$(top 'k-NN top-1')" ] && [ "$(top 'k-NN top-1')" = "$(top 'knn[.]2 k-NN top-1')" ] ||
    fail "the last class token is not the pooled embedding"
metrics=$(echo tokens/*/0/metrics.jsonl)
grep -q '"features": "class_tokens", "blocks": 1' $metrics || fail "the protocol hides the features"
# Whoever asked before: the last block alone is the pooled embedding, two blocks are not. Not all of
# six numbers can be the same by chance.
{
    printf 'extends = "%s"\n' "$vit"
    for k in 1 3 7; do
        printf '[[task]]\nuse = "knn"\nk = %d\n' $k
        printf '[[task]]\nuse = "knn"\nk = %d\nfeatures = "class_tokens"\nblocks = %d\n' $k 2 $k 1
    done
} >two_blocks.toml
run 0 run two_blocks.toml run.out=two
numbers() { # NUMBERS OF THE TABLES, as a regular expression
    sed -n "s/^\($1\)k-NN top-\([15]\): .*trained /\2 /p" out
}
pooled=$(numbers '\|knn[.][47] ') two=$(numbers 'knn[.][258] ') one=$(numbers 'knn[.][369] ')
[ "$(wc -l <<<"$pooled")" = 6 ] && [ "$pooled" = "$one" ] || fail "the last block is not the pooled embedding"
[ "$(wc -l <<<"$two")" = 6 ] && [ "$pooled" != "$two" ] || fail "two blocks are the pooled embedding"
features "$vit" 65 >deep.toml
run 2 check deep.toml
says "blocks"
features "$vit" 60 >deep.toml
refused deep.toml "[[task.1]]" "the last 60 blocks are asked for, backbone vit has"
features "$base" 1 >resnet.toml
refused resnet.toml "[[task.1]]" "backbone resnet has no class tokens"
