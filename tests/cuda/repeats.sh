#!/usr/bin/env bash
# repeats.sh BUILD_FOLDER: with run.deterministic, two runs on the cuda backend have the same bits; an
# interrupted one has those of a straight one.
. "$(dirname "$0")/cuda_kit.sh" "$1"
write_all_tiny
for name in dino_resnet dino_vit; do
    for half in f32 bf16; do
        for n in 1 2; do
            run 0 run $name.toml run.device=cuda run.deterministic=true run.precision=$half run.out=$name.$half.$n
        done
        same_runs $name.$half.1/smoke/0 $name.$half.2/smoke/0
    done
done
