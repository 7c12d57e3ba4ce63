#!/usr/bin/env bash
# Exit codes and messages of runs that fail, are wrong, or are stopped.
. "$(dirname "$0")/expect.bash"

cat >"$work/exp.toml" <<'TOML'
[run]
name = "small"
epochs = 100000
batch = 16
log_seconds = 0.1
[data]
use = "synthetic"
count = 64
[sampler]
use = "multicrop"
global = { count = 2, size = 16 }
local = { count = 0 }
[backbone]
use = "resnet"
depth = 10
width = 0.125
stem = "cifar"
[method]
use = "dino"
out_dim = 32
hidden_dim = 32
bottleneck_dim = 16
[optimizer]
use = "sgd"
lr = 0.01
TOML
sed '/^out_dim\|^hidden_dim\|^bottleneck_dim/d' "$work/exp.toml" >"$work/bare.toml"
here=("run.out=$work/runs" --plugin-path "$bad")

for verb in run check; do
    expect 1 $verb "$work/bare.toml" method.use=bad_create "${here[@]}"
    errs "bare.toml:18:1: [method]: the moon is not full: wait for it" \
        "(in plugin method/bad_create, function create)"
    expect 1 $verb "$work/bare.toml" method.use=bad_create_silent "${here[@]}"
    errs "(the plugin gave no message)"
    expect 2 $verb "$work/bare.toml" method.use=bad_check "${here[@]}"
    errs "low must be below high: change one of them" "function check)"
    expect 2 $verb "$work/bare.toml" method.use=bad_requires "${here[@]}"
    errs 'requires the extension "wisp.crystal_ball/7"'
    expect 2 $verb "$work/bare.toml" method.use=bad_abi_major "${here[@]}"
    errs "built for plugin ABI 1.1"
    expect 2 $verb "$work/bare.toml" method.use=bad_text "${here[@]}"
    errs "not a shared object"
    expect 2 $verb "$work/bare.toml" method.use=bad_no_entry "${here[@]}"
    errs "does not export wisp_plugin_entry"
    expect 2 $verb "$work/bare.toml" method.use=dyno "${here[@]}"
    errs "nearest known name: dino"
    expect 2 $verb "$work/exp.toml" method.out_dim=wide "${here[@]}"
    errs "method.out_dim" "integer"
done
[ -e "$work/runs" ] && complain "a run that could not start left a folder"

# Asked to stop, a run ends by itself, on a checkpoint, and says so.
"$wisp" run "$work/exp.toml" "${here[@]}" >"$work/out" 2>"$work/err" &
pid=$!
for _ in $(seq 300); do
    [ -s "$work/runs/small/0/metrics.jsonl" ] && break
    sleep 0.1
done
kill -TERM $pid
code=0
wait $pid || code=$?
call="a stopped run"
[ $code = 1 ] || complain "$call: exit code $code, not 1"
errs "wisp: stopped"
grep -q "in plugin" "$work/err" && complain "$call: blames a plugin"
[ -s "$work/runs/small/0/checkpoints/last.safetensors" ] || complain "$call: no checkpoint"
finish
