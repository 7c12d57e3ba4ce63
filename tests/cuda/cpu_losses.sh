#!/usr/bin/env bash
# cpu_losses.sh BUILD_FOLDER: twenty steps on the cuda backend have the losses of the cpu backend, in
# f32 closely, in bf16 within what rounding makes of them.
. "$(dirname "$0")/cuda_kit.sh" "$1"
write_all_tiny
rate_moco=3e-4 # with other kernels a higher one makes 1e-4 of rounding
for name in $tiny_names; do
    rate=rate_$name
    run 0 run $name.toml run.device=cpu optimizer.lr=${!rate}
    run 0 run $name.toml run.device=cuda optimizer.lr=${!rate} run.out=$name.cuda
    same_losses $name $name.cuda 1e-4
done
run 0 run dino_resnet.toml run.device=cpu run.out=half.cpu run.precision=bf16
run 0 run dino_resnet.toml run.device=cuda run.out=half.cuda run.precision=bf16
same_losses half.cpu half.cuda 2e-2
