#!/usr/bin/env bash
# plugins.sh WISP BUILD SOURCE KIND: every plugin of this kind in the build passes wisp validate, or
# says why a test cannot be made here; creation is left out for a device that is not there, and for
# nothing else. Options that have no default point to the small data sets in tests/data. Exit code 77:
# the build has no plugin of the kind.
. "$(dirname "$0")/../cli/expect.bash"
kind=$4
cd "$source" || exit 1

options_of() {
    case $1 in
    dataset-cifar10 | dataset-cifar100 | dataset-stl10 | dataset-image_folder)
        echo "path=tests/data/${1#dataset-}" ;;
    dataset-hdf5) echo "path=tests/data/hdf5/images.h5" ;;
    dataset-packed) echo "path=$(ls tests/data/packed/*.wisp | head -1)" ;;
    dataset-webdataset) echo "path=$(ls tests/data/webdataset/*.tar | head -1)" ;;
    backbone-resnet) echo "width=0.0625 stem=cifar" ;;
    backbone-mobilenet_v2) echo "width=0.125 stem=cifar" ;;
    backbone-vit) echo "dim=16 depth=2 heads=2 patch_size=4 image_size=16" ;;
    esac
}

n=0
for file in "$build"/plugins/wisp-"$kind"-*.so; do
    [ -e "$file" ] || continue
    n=$((n + 1))
    name=$(basename "$file" .so)
    # shellcheck disable=SC2046
    expect 0 validate "$file" $(options_of "${name#wisp-}")
    says "passed, 0 failed"
    grep -A1 "^  fail" "$work/out"
    grep "^  skip  creates " "$work/out" | grep -qv "it cannot be here: " &&
        complain "$call: what rests on creates is not tried"
    grep -q "^  skip" "$work/out" && { echo "$name:"; grep "^  skip" "$work/out"; }
    tail -1 "$work/out" | sed "s/^/$name: /"
done
[ $n = 0 ] && { echo "no plugin of the kind $kind in this build"; exit 77; }
finish
