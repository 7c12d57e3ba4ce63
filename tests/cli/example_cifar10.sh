#!/usr/bin/env bash
# The example plugin, built against an installed tree, trained for three epochs on a part of CIFAR-10:
# class folders below train and test, or the binary files, in data/cifar10 or in the folder that
# WISP_CIFAR10 names. Ends with 77, "skipped", where there is none.
. "$(dirname "$0")/expect.bash"
cifar=$(realpath -m "${WISP_CIFAR10:-$source/data/cifar10}")
part=$work/part

# part_of_folders SPLIT COUNT: so many images of each class.
part_of_folders() {
    local class
    for class in "$cifar/$1"/*/; do
        mkdir -p "$part/$1/$(basename "$class")"
        find "$class" -maxdepth 1 -name '*.*' | sort | head -n "$2" |
            xargs -r -d '\n' ln -st "$part/$1/$(basename "$class")"
    done
}

# part_of_file NAME COUNT: so many records.
part_of_file() {
    head -c $((3073 * $2)) "$cifar/$1" >"$part/$1"
}

mkdir "$part"
if [ -d "$cifar/train" ] && [ -d "$cifar/test" ]; then
    part_of_folders train 600
    part_of_folders test 200
    data=(data.use=image_folder "data.path=$part/train" test.use=image_folder "test.path=$part/test")
elif [ -e "$cifar/data_batch_1.bin" ] && [ -e "$cifar/test_batch.bin" ]; then
    for i in 1 2 3 4 5; do part_of_file data_batch_$i.bin 1200; done
    part_of_file test_batch.bin 2000
    data=("data.path=$part" "test.path=$part")
else
    echo "skipped: no CIFAR-10 in $cifar"
    exit 77
fi

call="the example, installed and built"
cp -r "$source/examples/plugin" "$work/example"
cd "$work/example" &&
    cmake --install "$build" --prefix "$work/tree" >"$work/out" 2>"$work/err" &&
    cmake -S . -B build -DCMAKE_PREFIX_PATH="$work/tree" >>"$work/out" 2>>"$work/err" &&
    cmake --build build >>"$work/out" 2>>"$work/err" || complain "$call: fails"

# Few steps on a narrow network: a rate that would be too high for the experiment as it stands.
wisp="$work/tree/bin/wisp"
export OMP_WAIT_POLICY=passive
expect 0 run simsiam_cifar10.toml --plugin-path build "${data[@]}" "run.out=$work/runs" \
    run.epochs=3 run.batch=32 run.baselines=true "run.seed=${WISP_SEED:-0}" \
    backbone.depth=10 backbone.width=0.125 method.dim=256 method.hidden_dim=64 \
    optimizer.lr_per_256=1.0 task.0.use=knn task.0.k=20
grep "top-1" "$work/out"

# Narrow networks stay below raw pixels for long; seeds 0 to 3 gained 5 to 9 points.
read -r untrained trained < <(sed -n \
    's/^k-NN top-1: raw pixels .*, untrained \([0-9.]*\) %, trained \([0-9.]*\) %$/\1 \2/p' "$work/out")
awk -v a="${untrained:-0}" -v b="${trained:-0}" 'BEGIN { exit !(a > 10 && b > a + 2) }' ||
    complain "$call: top-1 of the untrained network ${untrained:-?}, of the trained ${trained:-?}"
finish
