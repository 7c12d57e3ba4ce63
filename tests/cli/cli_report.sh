#!/usr/bin/env bash
# wisp report: what a page shows of a run, of several, and of what is broken or not there.
. "$(dirname "$0")/expect.bash"
export OMP_WAIT_POLICY=passive
cd "$work" || exit 1

# train NAME OVERRIDES...: the smoke experiment in runs/NAME/0.
train() {
    local name=$1
    shift
    cat >$name.toml <<END
extends = "$source/configs/smoke/base.toml"
[run]
name = "$name"
out = "runs"
threads = 1
workers = 0
steps = 1
END
    cat >>$name.toml
    expect 0 run $name.toml "$@"
}

# --- a run writes its report, and the verb tells the same ---
train plain run.report=true optimizer.weight_decay=0.125 <<'END'
[[probe]]
use = "knn"
k = 3
END
errs "report: runs/plain/0/report.html"
page=runs/plain/0/report.html
head -c 15 $page | grep -qi '<!doctype html>' || complain "$call: report.html is no page"
[ "$(wc -c <$page)" -lt 3000000 ] || complain "$call: report.html is large"
before=$(cksum <$page)
expect 0 run plain.toml run.report=true optimizer.weight_decay=0.125
[ "$before" = "$(cksum <$page)" ] || complain "$call: a run that was done has another report"

expect 0 report runs/plain/0 -o again.html
says again.html
[ "$before" = "$(cksum <again.html)" ] || complain "$call: the page of the verb is another one"
expect 0 report runs/plain/0/ --json
value kind run
value title plain/0
value live false
value 'runs.#' 1
value runs.0.label plain/0
value runs.0.state done
value runs.0.results.0.metric k_nn_top_1
value runs.0.environment.data.samples 64
value runs.0.pictures.tile 16
value 'runs.0.pictures.map.points.#' 32
value 'runs.0.pictures.axes.points.#' 32
value 'runs.0.pictures.classes.#' 10
value 'runs.0.pictures.neighbours.#' 10
value 'runs.0.pictures.neighbours.0.of.#' 8
value runs.0.pictures.bank.of 64
value runs.0.pictures.confusion.task knn
value runs.0.pictures.confusion.images 32
value 'runs.0.pictures.confusion.counts.#' 10
grep -q '"attention"' "$work/out" && complain "$call: a resnet has attention"
grep -q '"atlas":"data:image/jpeg;base64,/9j/' "$work/out" || complain "$call: no sheet of tiles"
grep -q '"sheet":"data:image/png;base64,iVBOR' "$work/out" || complain "$call: no views"
grep -q '"notes"' "$work/out" && complain "$call: something is missing"
# What differs from the file that it extends, and what the file does not say from the defaults.
grep -q '{"key":"optimizer.weight_decay","here":"0.125","base":"0.04"}' "$work/out" ||
    complain "$call: does not say that the weight decay is not the base's"
grep -q '{"key":"probe.0.k","here":"3","base":"20"}' "$work/out" ||
    complain "$call: does not say that k is not the default"
grep -q '"key":"data.count"' "$work/out" && complain "$call: the base has the same data.count"

# The diagonal is what was reported.
"$json" runs.0.pictures.confusion.counts.0.0 <"$work/out" >/dev/null || complain "no counts"
right=0
for i in $(seq 0 9); do
    right=$((right + $("$json" runs.0.pictures.confusion.counts.$i.$i <"$work/out")))
done
top1=$(grep '"kind": "task"' runs/plain/0/metrics.jsonl | grep -o '"k_nn_top_1": [0-9.]*' | cut -d' ' -f2)
awk -v r=$right -v t="$top1" 'BEGIN { exit !(r * 100 / 32 == t) }' ||
    complain "$call: $right of 32 on the diagonal, k-NN found $top1 %"

# --- transformers have attention, data without labels have no classes ---
train vit backbone.use=vit backbone.dim=16 backbone.depth=2 backbone.heads=2 backbone.patch_size=4 \
    backbone.image_size=16 </dev/null
expect 0 report runs/vit/0 --json
value 'runs.0.pictures.attention.#' 6
value 'runs.0.pictures.attention.0.heads.#' 2

mkdir one && cp "$source/tests/golden/image/files/rgb8.png" one/
cat >one.toml <<END
[run]
name = "one"
batch = 1
epochs = 1
threads = 1
workers = 0
[input]
eval_resize = 16
eval_size = 16
[data]
use = "image_folder"
path = "$work/one"
labels = false
[sampler]
use = "multicrop"
global = { count = 2, size = 16 }
local = { count = 0 }
[backbone]
use = "vit"
dim = 16
depth = 1
heads = 1
patch_size = 8
image_size = 16
[method]
use = "dino"
out_dim = 32
hidden_dim = 32
bottleneck_dim = 16
head_batch_norm = false
[optimizer]
use = "sgd"
lr = 0.01
END
expect 0 check one.toml || sed -i '/head_batch_norm/d' one.toml
expect 0 run one.toml
expect 0 report runs/one/0 --json
value 'runs.0.pictures.map.points.#' 1
value 'runs.0.pictures.neighbours.0.of.#' 0
grep -q '"classes":\[' "$work/out" && complain "$call: classes without labels"
grep -q '"confusion"' "$work/out" && complain "$call: confusion without labels"

# --- folders of several runs, a comparison's among them ---
mkdir -p study/A study/B study/logs
for run in A/0 A/1 A/10 B/0; do cp -r runs/plain/0 study/$run; done
expect 0 report study --json
value kind run
value 'runs.#' 4
value runs.2.label A/10
printf '{"arms": [{"name": "A"}], "words": 7}\n' >study/comparison.json
expect 0 report study --json
value kind comparison
value title study
value comparison.words 7
value 'runs.#' 4
value runs.0.pictures.tile 16
value runs.3.pictures.tile 16
value runs.1.pictures.confusion.task knn
[ "$(grep -o '"atlas":' "$work/out" | wc -l)" = 2 ] || complain "$call: not one sheet for each arm"
expect 0 report study
says study/report.html
[ -s study/report.html ] || complain "$call: no page"
echo "no JSON" >study/comparison.json
expect 0 report study
errs "the report shows no numbers" comparison.json
rm study/B/0/config.toml
expect 0 report study --json
value 'runs.#' 3

# --- labels tell runs apart, however long their names are, and a run is there once ---
cell=$(printf 'method.out_dim=%0170d' 8)
for run in out1/q/0 out2/q/0 "out2/$cell/0"; do mkdir -p $run && cp runs/plain/0/{config.toml,metrics.jsonl} $run; done
expect 0 report out1/q/0 out2/q/0 "out2/$cell/0" out2/q/0 --json
value 'runs.#' 3
value runs.0.label out1/q/0
value runs.1.label out2/q/0
value runs.2.label "$cell/0"
expect 0 report out2 --json
value runs.0.label "$cell/0"
value runs.1.label q/0

# --- what is missing or broken is told, and costs the page that alone ---
broken() {
    rm -rf b && cp -r runs/plain/0 b
}
broken && rm -r b/checkpoints
expect 0 report b -o b.html
errs "b: the report shows no pictures of what was learned: "
expect 0 report b --json
value 'runs.0.notes.#' 1
value runs.0.pictures.confusion.task knn
broken && truncate -s 5000 b/checkpoints/last.safetensors
expect 0 report b -o b.html
errs "shows no pictures of what was learned"
for damage in '{"tasks": [{"task": "knn", "metric": "x", "n_classes": 2, "counts": [[0, 2, 1]]}]}' \
    '{"tasks": [{"task": "knn", "metric": "x", "n_classes": -1, "counts": []}]}' '[]' 'x' ''; do
    broken && printf '%s' "$damage" >b/confusion.json
    expect 0 report b -o b.html
    errs "b: the report shows no confusion matrix: b/confusion.json is damaged"
done
odd=$(printf 'b\377')
rm -rf "$odd" && cp -r b "$odd"
expect 0 report "$odd" --json
value runs.0.notes.0 "no confusion matrix: b?/confusion.json is damaged"
broken && echo 'no = [' >b/config.toml
expect 2 report b -o none.html
errs "b/config.toml"
broken && sed -i '1s/.*/{"kind": /' b/metrics.jsonl
expect 0 report b -o b.html
errs "the report leaves out what is damaged: b/metrics.jsonl:1"
expect 0 report b --json
value 'runs.0.notes.#' 1
value runs.0.state 'not finished'
broken && sed -i 's/^use = "synthetic"/use = "nothing_of_this_name"/' b/config.toml
expect 0 report b -o b.html
errs "nothing_of_this_name"
[ -e none.html ] && complain "$call: a page of nothing"
expect 2 report nowhere
errs_once "nowhere: there is no such folder"
mkdir empty
expect 2 report empty
errs_once "empty holds no run"
expect 2 report

# --- a run that goes on: nothing is locked, and a line that is not whole yet is passed over ---
broken && rm -r b/checkpoints
sed -i '/"task"\|"best_probe"/d' b/metrics.jsonl
printf '{"kind": "train", "epo' >>b/metrics.jsonl
exec 7<b/.lock
flock -x 7
expect 0 report b --json
value runs.0.state running
exec 7<&-
expect 0 report b --json
value runs.0.state 'not finished'
rm b/.lock
expect 0 report b --json
value runs.0.state 'not finished'
[ -e b/.lock ] && complain "$call: leaves a lock behind"

# --- a report that cannot be written fails no run ---
mkdir -p runs/blocked/0/report.html/x
train blocked run.report=true </dev/null
errs "the run is done, but there is no report of it"
finish
