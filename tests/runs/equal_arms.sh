#!/usr/bin/env bash
# equal_arms.sh BUILD_FOLDER: what arms with the same seed have in common. Two equal experiments
# give the same bits; with other samplers, backbones beside it, or heads the first weights of what
# both have are the same; other seeds give others.
. "$(dirname "$0")/run_kit.sh" "$1"

write_smoke a <<END
epochs = 2
steps = 0
metric_steps = 1
baselines = true
[[probe]]
use = "linear"
[[task]]
use = "linear_probe"
epochs = 2
batch = 64
END

# --- equal arms ---

run 0 compare a.toml a.toml --seeds 2 --jobs 2 --out made --name same
grep -q "A and B are the same experiment: their runs will be equal to the last bit" out ||
    fail "equal arms are not noticed"
for seed in 0 1; do
    same_runs made/same/A/$seed made/same/B/$seed
done
cmp -s made/same/A/0/metrics.jsonl made/same/A/1/metrics.jsonl && fail "two seeds give the same numbers"

run 0 compare a.toml a.toml --seeds 1 --seed-offset B:7 --jobs 2 --out made --name apart
grep -q "what differs between them is chance" out || fail "the offset is not noticed"
grep -q "caution: --seed-offset: the arms of a pair share no randomness" out || fail "no caution"
[ -e made/apart/B/7/metrics.jsonl ] && [ ! -e made/apart/B/0 ] || fail "the offset is not added"
same_runs made/same/A/0 made/apart/A/0
cmp -s made/apart/A/0/metrics.jsonl made/apart/B/7/metrics.jsonl && fail "the offset changes nothing"

# --- first weights ---

# One step that leaves all parameters where they are. What is not a parameter may differ: statistics
# of batches, the centre of the teacher's outputs, the optimizer's moments.
write_smoke still <<END
steps = 1
baselines = true
[optimizer]
lr = 1e-60
weight_decay = 0.0
END
# first_weights NAME OVERRIDE...: arm B with the overrides; the parameters that differ go to `differing`.
first_weights() {
    local name=$1 sets=() override
    shift
    for override; do
        sets+=(--set "B:$override")
    done
    run 0 compare still.toml "${sets[@]}" --seeds 3, --jobs 2 --out made --name "$name"
    "$tools/safetensors_diff" made/"$name"/{A,B}/3/checkpoints/last.safetensors |
        grep '^[^ ]*: ' | grep -v '^wisp[.]' |
        grep -v 'running_\|^state[.]\|^optimizer[.]\|^moment' >differing
    grep '"kind": "untrained"' "made/$name/A/3/metrics.jsonl" >untrained_a
    grep '"kind": "untrained"' "made/$name/B/3/metrics.jsonl" >untrained_b
    [ -s untrained_a ] || fail "the untrained network was not judged"
}

first_weights sampler sampler.use=sslight 'sampler.global={count=2,size=16}' \
    'sampler.local={count=2,scale=[0.05,0.3]}'
[ ! -s differing ] || fail "first weights depend on the sampler: $(head -n 3 differing)"
cmp untrained_a untrained_b >&2 || fail "the untrained networks are judged differently"

first_weights optimizer optimizer.use=sgd optimizer.lr=1e-60 run.batch=8
[ ! -s differing ] || fail "first weights depend on optimizer or batch: $(head -n 3 differing)"

first_weights head method.hidden_dim=32 method.out_dim=48
grep -q backbone differing && fail "the backbone's first weights depend on the head: $(cat differing)"
grep -q head differing || fail "the comparison of weights sees nothing"
cmp untrained_a untrained_b >&2 || fail "the untrained backbones are judged differently"

run 0 run still.toml run.seed=4 run.out=other
"$tools/safetensors_diff" made/sampler/A/3/checkpoints/last.safetensors \
    other/smoke/4/checkpoints/last.safetensors | grep -q 'backbone.*weight' ||
    fail "another seed has the same first weights"
echo done
