#!/usr/bin/env bash
# finetune.sh BUILD_FOLDER: fine-tuning with few labels begins with DINO's backbone and the first two
# layers of its head, batch norm included, and says on how many images it was trained.
. "$(dirname "$0")/run_kit.sh" "$1"

images=$source_folder/tests/data/image_folder
cat >dino.toml <<END
extends = "$base"
[run]
name = "dino"
out = "runs"
steps = 4
END
cat >semi.toml <<END
extends = "$base"
[run]
name = "semi"
out = "runs"
epochs = 2
steps = 0
threads = 1
[sampler]
global = { count = 1, size = 16, scale = [0.08, 1.0] }
local = { count = 0 }
jitter = 0.0
gray = 0.0
[method]
use = "supervised"
head = "mlp"
hidden_dim = 64
[optimizer]
use = "sgd"
lr_per_256 = 0.32
nesterov = true
weight_decay = 0.0
[schedule.lr]
kind = "cosine"
per = "epoch"
end = 1e-6
[[init]]
weights = "runs/dino/0"
from = "student.backbone"
into = "network.backbone"
[[init]]
weights = "runs/dino/0"
from = "student.head.mlp"
into = "network.head.mlp"
skip = ["6.*"]
[[probe]]
use = "classify"
[[task]]
use = "classify"
END
run 0 run dino.toml
run 0 run semi.toml
stored=runs/dino/0/checkpoints/last.safetensors
# Two linear layers of two tensors each, two batch norms of four.
grep -qF "begins with 12 tensors of $stored: student.head.mlp into network.head.mlp" out ||
    fail "the head does not begin with DINO's"
grep -q "tensors of $stored: student.backbone into network.backbone" out ||
    fail "the backbone does not begin with DINO's"
metrics=runs/semi/0/metrics.jsonl
"$tools/json_lines" $metrics || fail "the metrics are no JSON"
grep '^{"kind": "task"' $metrics | grep -qF '"method": "supervised", "optimizer": "sgd", "lr": 0.02, "batch": 16, "epochs": 2, "train": 64, ' ||
    fail "the protocol does not tell the training"

# Without the head, the same run is another one: the trap that changes results most.
grep -v '^skip' semi.toml | awk '/^\[\[init\]\]/ && n++ { skip = 1 } /^\[\[probe\]\]/ { skip = 0 } !skip' >new_head.toml
run 0 run new_head.toml run.name=new_head
grep -q "student.head" out && fail "the head was loaded after all"
loss() { grep -o '"kind": "train".*"loss": [0-9.]*' runs/$1/0/metrics.jsonl | head -n 1 | sed 's/.*: //'; }
[ -n "$(loss semi)" ] && [ "$(loss semi)" != "$(loss new_head)" ] ||
    fail "the head makes no difference: $(loss semi)"

# The rate changes once an epoch: both steps of an epoch have one value.
run 0 run semi.toml run.name=rates run.metric_steps=1
rates=$(grep -o '"kind": "schedule".*"lr": [0-9.e-]*' runs/rates/0/metrics.jsonl | sed 's/.*"lr": //')
[ "$(echo "$rates" | wc -l)" = 8 ] || fail "no rate for each of eight steps: $rates"
[ "$(echo "$rates" | uniq | wc -l)" = 2 ] && [ "$(echo "$rates" | head -n 1)" = 0.02 ] ||
    fail "the rates are $rates"

# Few images, by a list and by a share: so many are trained on.
few() { # NAME IMAGES OVERRIDES...
    run 0 run semi.toml run.name="$1" run.batch=2 data.use=image_folder data.path="$images" \
        test.use=image_folder test.path="$images" "${@:3}"
    grep '^{"kind": "task"' "runs/$1/0/metrics.jsonl" | grep -qF "\"epochs\": 2, \"train\": $2, " ||
        fail "$1 was not trained on $2 images"
}
printf '%s\n' disc/00.jpg disc/01.png disc/77.jpg >list.txt
run 1 check semi.toml data.use=image_folder data.path="$images" data.list=list.txt
says "list.txt:3" "disc/77.jpg"
n=$(find "$images" -iname '*.jp*g' -o -iname '*.png' | wc -l)
printf '%s\n' disc/00.jpg disc/01.png "$((n - 1))" "$((n - 2)),1,stripes" >list.txt
few listed 4 data.list=list.txt
few shared 6 data.fraction="$(awk "BEGIN { print 6.2 / $n }")"
