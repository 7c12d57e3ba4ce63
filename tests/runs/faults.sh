#!/usr/bin/env bash
# faults.sh BUILD_FOLDER: data that go bad while a run reads them. Files vanish, are cut short, lose
# their permission; the disk returns errors; the process runs out of files. Each bad image is told by
# name, the run goes on as run.bad_samples says, and its end tells how many there were.
source "$(dirname "$0")/run_kit.sh"

images=$source_folder/tests/data/image_folder
EIO=5 EACCES=13 EMFILE=24 ESTALE=116

# experiment SOURCE PATH: experiment.toml, an endless run over these images.
experiment() {
    cat >experiment.toml <<END
[run]
epochs = 100000
batch = 4
threads = 1
workers = 1
metric_steps = 1
checkpoint_minutes = 0
bad_samples = 0.2
[input]
eval_resize = 8
eval_size = 8
[data]
use = "$1"
path = "$2"
[sampler]
use = "multicrop"
global = { count = 2, size = 8, scale = [0.3, 1.0] }
local = { count = 0 }
[backbone]
use = "resnet"
width = 0.125
stem = "cifar"
[method]
use = "dino"
out_dim = 16
hidden_dim = 16
bottleneck_dim = 16
[optimizer]
use = "adamw"
lr = 1e-3
END
}

steps_done() {
    [ -f "$1/metrics.jsonl" ] && wc -l <"$1/metrics.jsonl" || echo 0
}
has_steps() { # RUN N
    [ "$(steps_done "$1")" -ge "$2" ]
}
said() {
    grep -qF -- "$1" err
}

# while_running NAME COMMAND...: a run is on its way when the command spoils its data; it goes on,
# over many epochs, and names the images at its end.
while_running() {
    local out=$1 code=0
    shift
    "$wisp" run experiment.toml run.out="$out" run.steps=300 >out 2>err &
    pid=$!
    wait_for has_steps "$out/run/0" 8 || fail "the run does not begin"
    "$@"
    wait $pid || code=$?
    [ $code = 0 ] || fail "exit code $code after $*"
    says "training images were unusable and replaced"
}

# on_a_bad_disk CODE FAULT ARGUMENTS...: 60 steps with the fault.
on_a_bad_disk() {
    local code=0 wanted=$1 fault=$2
    shift 2
    rm -rf bad_disk
    LD_PRELOAD=$tools/failing_disk.so WISP_FAULT=$fault \
        "$wisp" run experiment.toml run.out=bad_disk run.steps=60 "$@" >out 2>err || code=$?
    [ $code = "$wanted" ] || fail "exit code $code instead of $wanted with the fault $fault"
}

# --- files in folders ---

cp -r "$images" folder
experiment image_folder folder
vanish() {
    rm folder/disc/03.jpg
}
while_running vanished vanish
says "disc/03.jpg) is unusable and replaced: cannot open" "No such file" "1 of 24 training images"

cut_short() {
    truncate -s 100 folder/disc/06.jpg
}
cp "$images/disc/03.jpg" folder/disc
while_running cut cut_short
says "disc/06.jpg) is unusable and replaced" "has fewer now" "1 of 24 training images"
cp "$images/disc/06.jpg" folder/disc

# All of them: the limit ends the run, which names one.
experiment image_folder folder
"$wisp" run experiment.toml run.out=gone >out 2>err &
pid=$!
wait_for has_steps gone/run/0 8 || fail "the run does not begin"
mv folder away
mkdir folder
rm -r away
code=0
wait $pid || code=$?
[ $code = 1 ] || fail "exit code $code when all images are gone"
says "of 24 samples are unusable, more than 20 %" "run.bad_samples" "No such file"
rm -r folder
cp -r "$images" folder

if [ ! -f "$tools/failing_disk.so" ]; then
    echo "SKIPPED: faults of the disk, in a build with sanitizers"
    exit 77
fi

on_a_bad_disk 0 read:$EIO:disc/04.png
says "disc/04.png) is unusable and replaced: cannot read" "Input/output error" \
    "1 of 24 training images were unusable and replaced"
on_a_bad_disk 0 open:$EACCES:disc/04.png
says "disc/04.png) is unusable and replaced: cannot open" "Permission denied" "1 of 24 training"
on_a_bad_disk 0 open:$ESTALE:stripes/more/11.JPEG run.workers=3
says "stripes/more/11.JPEG) is unusable and replaced: cannot open" "Stale file handle"
on_a_bad_disk 1 read:$EIO:disc/04.png run.bad_samples=0
says "1 of 24 samples are unusable, more than 0 %" "disc/04.png" "Input/output error"
on_a_bad_disk 1 read:$EIO:stripes/
says "of 24 samples are unusable, more than 20 %" "stripes/"
on_a_bad_disk 0 read:$EIO:stripes/ run.bad_samples=0.5
says "12 of 24 training images were unusable and replaced"

# A run that is told to stop counts them too.
LD_PRELOAD=$tools/failing_disk.so WISP_FAULT=read:$EIO:disc/04.png \
    "$wisp" run experiment.toml run.out=stopped >out 2>err &
pid=$!
wait_for has_steps stopped/run/0 20 || fail "the run does not begin"
kill -TERM $pid
code=0
wait $pid || code=$?
[ $code = 1 ] || fail "exit code $code of a run that is told to stop"
says "1 of 24 training images were unusable and replaced" "stopped at step"

# No fault of an image: the run ends, with its name, and can go on.
WISP_FAULT_AFTER=40 on_a_bad_disk 1 open:$EMFILE:.jpg
says "Too many open files; raise the limit (ulimit -n)" ".jpg"

# --- one file for all ---

# from_one_file SOURCE FILE: each way in which a part of it may be lost. Images are small, so that
# 200 bytes are of two of them at most.
from_one_file() {
    local source=$1 file=$2 middle
    middle=$(($(stat -c %s "$file") / 2))
    experiment "$source" "$file"
    WISP_FAULT_FROM=$middle WISP_FAULT_TO=$((middle + 200)) on_a_bad_disk 0 "read:$EIO:$file"
    says "is unusable and replaced" "Input/output error" "training images were unusable"
    experiment "$source" "$file"
    sed -i 's/^bad_samples.*/bad_samples = 0.9/' experiment.toml
    cp "$file" whole
    cut_file() {
        truncate -s $middle "$file"
    }
    while_running "cut_$file" cut_file
    says "is unusable and replaced"
    cp whole "$file"
    # The name is gone, the data are not: who has the file open reads on.
    "$wisp" run experiment.toml run.out="gone_$file" run.steps=120 >out 2>err &
    pid=$!
    wait_for has_steps "gone_$file/run/0" 8 || fail "the run does not begin"
    rm "$file"
    wait $pid || fail "the run ends when the file has lost its name"
    ! said "is unusable" || fail "a file that is open cannot be read when its name is gone"
    mv whole "$file"
}

if [ -f "$build/plugins/wisp-dataset-hdf5.so" ]; then
    cp "$source_folder/tests/data/hdf5/images.h5" .
    from_one_file hdf5 images.h5
    experiment hdf5 images.h5
    WISP_FAULT_FROM=600 on_a_bad_disk 1 read:$EIO:images.h5
    says '"images.h5": libhdf5 says: file read failed: Input/output error'
fi
run 0 pack folder -o images.wisp
from_one_file packed images.wisp
if [ -f "$build/plugins/wisp-dataset-webdataset.so" ]; then
    tar -C folder -cf images.tar disc stripes
    from_one_file webdataset images.tar
fi
