#!/usr/bin/env bash
# refused_ranks.sh BUILD_FOLDER: ranks that would not train one run together are refused, and the
# message names what differs; so is what several ranks cannot do. One process never loads MPI.
. "$(dirname "$0")/rank_kit.sh" "$1"
mpi="mpirun --oversubscribe --bind-to none"
write_tiny tiny <<END
END

# differing WORDS... : two programs, `first` and `second`; both ranks are refused.
differing() {
    local code=0
    $mpi -np 1 "${first[@]}" : -np 1 "${second[@]}" >out 2>err || code=$?
    [ $code = 2 ] || fail "exit code $code instead of 2"
    says "the ranks do not train the same run" "$@"
    [ "$(grep -o "the ranks do not train the same run" err | wc -l)" = 2 ] || fail "not both ranks say so"
    [ ! -e tiny ] || fail "a run folder was made"
}

first=("$wisp" run tiny.toml)
second=("$wisp" run tiny.toml optimizer.momentum=0.5)
differing "[optimizer] rank 0 has \`momentum = 0.9\`, rank 1 \`momentum = 0.5\`"
second=("$wisp" run tiny.toml run.seed=1)
differing "[run] rank 0 has \`seed = 0\`, rank 1 \`seed = 1\`"

mkdir plugins
cp "$build/plugins/wisp-sampler-multicrop.so" plugins
echo >>plugins/wisp-sampler-multicrop.so
second=(env "WISP_PLUGIN_PATH=$PWD/plugins" "$wisp" run tiny.toml)
differing "[plugins] rank 0 has \`sampler/multicrop = "

# Each rank sees a folder of its own under one name.
for rank in 0 1; do
    mkdir -p at$rank
    cp -r "$source_folder/tests/data/image_folder" at$rank/images
done
cat >folder.toml <<END
[run]
epochs = 1
batch = 4
threads = 1
workers = 0
out = "/proc/self/cwd/runs"
[input]
eval_resize = 8
eval_size = 8
[data]
use = "image_folder"
path = "/proc/self/cwd/images"
[sampler]
use = "multicrop"
global = { count = 2, size = 8, scale = [0.3, 1.0] }
local = { count = 0 }
[backbone]
use = "resnet"
depth = 10
width = 0.125
stem = "cifar"
[method]
use = "dino"
out_dim = 16
hidden_dim = 16
bottleneck_dim = 8
[optimizer]
use = "sgd"
lr = 1e-3
END
first=(-wdir "$PWD/at0" "$wisp" run "$PWD/folder.toml")
second=(-wdir "$PWD/at1" "$wisp" run "$PWD/folder.toml")
mv at1/images/disc/00.jpg at1/images/disc/renamed.jpg
differing "[data] rank 0 has \`fingerprint = "
# The same names and sizes, but nothing to decode: rank 1 finds out in the middle of the run.
mv at1/images/disc/renamed.jpg at1/images/disc/00.jpg
find at1/images -type f | while read -r file; do
    head -c "$(stat -c %s "$file")" /dev/zero >blank
    cp blank "$file"
done
code=0
$mpi -np 1 "${first[@]}" : -np 1 "${second[@]}" >out 2>err || code=$?
[ $code != 0 ] || fail "a rank without images goes on"
says "rank 1 of 2 failed and ends the others" "unusable"

# refused WORDS N ARGUMENTS...: a rank fails by itself and ends the others.
refused() {
    local words=$1
    shift
    ranks any "$@"
    says "ends the others" "$words"
}
refused "run.batch = 15 cannot be shared out evenly to 2 ranks" 2 run tiny.toml run.batch=15
refused "run.drop_last = false" 2 run tiny.toml run.drop_last=false
write_tiny groups <<END
[method]
use = "moco"
out_dim = 8
hidden_dim = 8
queue_length = 64
batch_norm_groups = 2
END
refused "batch_norm_groups = 2 cannot be shared out evenly to 4 ranks" 4 run groups.toml

WORLD_SIZE=2 RANK=0 run 2 run tiny.toml
says "WORLD_SIZE is 2" "mpirun -np 2"
OMPI_COMM_WORLD_SIZE= PMI_SIZE=3 run 2 run tiny.toml
says "PMI_SIZE says that 3 processes were started, and MPI found 1"

LD_DEBUG=files run 0 run tiny.toml run.steps=2
grep -q multicrop err || fail "the loader's trace is empty"
! grep -q libmpi err || fail "a single process loads MPI"
