#!/usr/bin/env bash
# shards.sh BUILD_FOLDER: a run on tar shards, plain and compressed, that is killed in the middle of
# epochs and goes on with other numbers of workers ends with the same bits as one that was never
# stopped. Shards that are broken or vanish are named, and what happens then is the configuration's.
. "$(dirname "$0")/run_kit.sh" "$1"

mkdir plain packed
cp "$source_folder"/tests/data/webdataset/*.tar plain
cp "$source_folder"/tests/golden/webdataset/gz-*.tar.gz packed
touch -d "1 hour ago" plain/* packed/*

cat >experiment.toml <<END
extends = "$base"
[run]
epochs = 8
steps = 0
batch = 8
metric_steps = 1
threads = 1
checkpoint_minutes = 0.0005
baselines = true
[data]
use = "webdataset"
path = "plain/train-{000000..000002}.tar::packed"
shuffle = 20
[test]
use = "webdataset"
path = "plain"
[[probe]]
use = "knn"
k = 3
END
# count and size are the synthetic data set's.
sed "s/^count = .*//; s/^size = 24//; s/^split = .*//" "$base" >base.toml
sed -i "s|^extends = .*|extends = \"base.toml\"|" experiment.toml

has_more_steps() {
    [ -e "$1" ] && [ "$(grep -c '"kind": "train"' "$1")" -gt "$2" ]
}

run 0 run experiment.toml run.out=straight run.workers=2
[ "$(ls -A plain packed | grep -c '^\.wisp-webdataset-.*\.index$')" = 2 ] ||
    fail "the indices of two data sets are not kept"

folder=stopped/smoke/0
for steps in 2 11 23 37; do
    "$wisp" run experiment.toml run.out=stopped run.workers=$((steps % 4)) >out 2>err &
    pid=$!
    wait_for has_more_steps "$folder/metrics.jsonl" "$steps" || fail "the run came to no step $steps"
    kill -KILL "$pid"
    wait "$pid" 2>/dev/null
done
run 0 run experiment.toml run.out=stopped run.workers=1
grep -q "resuming at step [0-9]* of 48" out || fail "the run did not go on"
grep "resuming" out
same_runs straight/smoke/0 stopped/smoke/0

# --- shards that are broken when a run begins ---

truncate -s 5000 plain/train-000001.tar
code=0
"$wisp" run experiment.toml run.out=broken >out 2>err || code=$?
[ "$code" != 0 ] || fail "a run begins with a broken shard"
says 'plain/train-000001.tar" is broken: cut off near byte' \
    "2 of its samples are usable" 'take broken_shards = "use"'
for choice in use skip; do
    run 0 run experiment.toml run.out=$choice run.epochs=1 data.broken_shards=$choice \
        test.broken_shards=skip
    says 'plain/train-000001.tar" is broken'
done

# --- and that vanish while it goes on ---

rm plain/train-000001.tar
code=0
"$wisp" run experiment.toml run.out=vanish run.epochs=1000 data.path=plain data.broken_shards=use \
    test.path=plain/train-000000.tar run.probe_epochs=1000 >out 2>err &
pid=$!
wait_for has_more_steps vanish/smoke/0/metrics.jsonl 3 || fail "no run begins"
: >plain/train-000002.tar
wait "$pid" || code=$?
[ "$code" != 0 ] || fail "a run ends well without its shards"
says "train-000002.tar" "are unusable, more than 0.1 %"
