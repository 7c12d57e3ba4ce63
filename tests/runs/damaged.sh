#!/usr/bin/env bash
# damaged.sh BUILD_FOLDER: damaged checkpoints, changed configurations and data, folders that cannot
# be written, full disks: each is refused by name, and nothing that was there is lost.
. "$(dirname "$0")/run_kit.sh" "$1"

mkdir images
for class in disc stripes; do
    mkdir images/$class
    for i in 1 2 3 4 5; do
        for file in "$source_folder"/tests/data/image_folder/$class/*.*; do
            cp "$file" "images/$class/${i}_${file##*/}"
        done
    done
done

cat >experiment.toml <<END
extends = "$base"
[run]
epochs = 2
steps = 0
batch = 4
metric_steps = 1
threads = 1
workers = 1
checkpoint_minutes = 0.0001
[data]
use = "image_folder"
path = "images"
[test]
use = "image_folder"
path = "images"
[[probe]]
use = "linear"
END

# What stands in a folder, to the byte; the lock and the notes of the clock do not count.
contents() {
    (cd "$1" && find . -type f ! -name .lock ! -name config.toml -exec cksum {} + | sort -k 3)
}

# unchanged COMMAND...: it leaves the run folder as it is.
unchanged() {
    local before
    before=$(contents $folder)
    "$@"
    diff <(echo "$before") <(contents $folder) >&2 || fail "the run folder was changed by: $*"
}

fresh_copy() {
    rm -rf copy
    cp -a stopped copy
    folder=copy/smoke/0
    checkpoints=$folder/checkpoints
}

flip_byte() { # FILE OFFSET
    local byte
    byte=$(od -An -tu1 -j "$2" -N 1 "$1")
    printf "\\x$(printf %02x $((byte ^ 1)))" |
        dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

bytes_of() {
    stat -c %s "$1"
}

is_far_enough() {
    [ -e stopped/smoke/0/checkpoints/previous.safetensors ] &&
        [ "$(grep -c '"train"' stopped/smoke/0/metrics.jsonl)" -gt 30 ]
}

# --- a straight run, and one that was stopped in the middle of its second epoch ---

run 0 run experiment.toml run.out=straight
"$wisp" run experiment.toml run.out=stopped >out 2>err &
pid=$!
wait_for is_far_enough || fail "the run did not come far enough"
kill -TERM $pid
wait $pid && fail "the run ended before it could be stopped"

# --- a damaged last checkpoint: the one before it is used ---

refused() { # HOW: copy's last checkpoint has been damaged
    run 0 run experiment.toml run.out=copy
    says "the last checkpoint is refused" "checkpoints/last.safetensors"
    [ -e $checkpoints/refused.safetensors ] || fail "$1: the refused file is gone"
    rm $checkpoints/refused.safetensors
    same_runs straight/smoke/0 $folder
    echo "refused: $1"
}

fresh_copy
size=$(bytes_of $checkpoints/last.safetensors)
truncate -s $((size - 1)) $checkpoints/last.safetensors
refused "truncated by one byte"

fresh_copy
truncate -s 0 $checkpoints/last.safetensors
refused "empty"

for offset in 0 9 $((size / 2)) $((size - 1)); do
    fresh_copy
    flip_byte $checkpoints/last.safetensors $offset
    refused "byte $offset of $size altered"
done

fresh_copy
echo "This is a text." >$checkpoints/last.safetensors
refused "a text file"

# A refused checkpoint does not become the previous one, whatever happens next.
fresh_copy
truncate -s 100 $checkpoints/last.safetensors
rm images/disc/1_00.jpg
run 1 run experiment.toml run.out=copy
says "the training data have changed"
cp images/disc/2_00.jpg images/disc/1_00.jpg
"$tools/safetensors_diff" $checkpoints/previous.safetensors $checkpoints/previous.safetensors >&2 ||
    fail "the previous checkpoint was lost"
run 0 run experiment.toml run.out=copy
rm $checkpoints/refused.safetensors
same_runs straight/smoke/0 $folder

# --- both damaged: an error that names both, and nothing is touched ---

fresh_copy
truncate -s 1000 $checkpoints/last.safetensors
flip_byte $checkpoints/previous.safetensors 5000
unchanged run 1 run experiment.toml run.out=copy
says "no checkpoint can be used" "last.safetensors" "previous.safetensors" "run.name"

# --- another configuration, other data, another process ---

fresh_copy
unchanged run 2 run experiment.toml run.out=copy optimizer.lr=0.5
says "another configuration" "lr = 0.001" "lr = 0.5" "run.name"
unchanged run 2 run experiment.toml run.out=copy run.resume=false
says "run.resume is false"
run 0 run experiment.toml run.out=other method.out_dim=96
cp other/smoke/0/checkpoints/last.safetensors $checkpoints/last.safetensors
rm $checkpoints/previous.safetensors
unchanged run 1 run experiment.toml run.out=copy
says "written by another configuration" "96" "64"

fresh_copy
rm images/disc/1_00.jpg
unchanged run 1 run experiment.toml run.out=copy
says "the training data have changed" "run.name"
cp images/disc/2_00.jpg images/disc/1_00.jpg

: >$folder/metrics.jsonl
run 1 run experiment.toml run.out=copy
says "metrics.jsonl is shorter than its checkpoint says"

"$wisp" run experiment.toml run.out=long run.epochs=1000 >/dev/null 2>&1 &
pid=$!
wait_for test -e long/smoke/0/checkpoints/last.safetensors || fail "the long run did not begin"
run 1 run experiment.toml run.out=long run.epochs=1000
says "in use by another process" "run.name"
kill -TERM $pid
wait $pid && fail "the long run ended"

# --- folders that cannot be written ---

: >file
run 1 run experiment.toml run.out=file/below
says "cannot make the run folder" "run.out=DIR"
run 1 run experiment.toml run.out=/proc/wisp
says "cannot make the run folder" "run.out=DIR"
if [ "$(id -u)" != 0 ]; then
    fresh_copy
    chmod a-w $folder $checkpoints
    run 1 run experiment.toml run.out=copy
    says "Permission denied"
    chmod u+w $folder $checkpoints
fi

# --- no room for a checkpoint: the old one stays ---

# goes_on WORDS: after `copy` met a disk without room; now there is room.
goes_on() {
    says "$1" "The checkpoint before stays as it is" "the same command goes on"
    [ -z "$(find $folder -name '*.tmp-*')" ] || fail "an unfinished file is left"
    "$tools/safetensors_diff" $checkpoints/last.safetensors $checkpoints/last.safetensors >&2 ||
        fail "the last checkpoint was damaged"
    run 0 run experiment.toml run.out=copy
    grep -q "resuming at step" out || fail "the run began anew"
    same_runs straight/smoke/0 $folder
}

fresh_copy
(
    trap '' XFSZ
    ulimit -f 1000 # KiB; a checkpoint is larger
    run 1 run experiment.toml run.out=copy
) || exit 1
goes_on "File too large"

# A disk of its own, in a mount namespace, where that is allowed.
fresh_copy
mkdir disk
cat >on_disk.sh <<END
mount -t tmpfs -o size=$((size / 1024 * 5 / 2))k none disk || exit 77
"$wisp" run experiment.toml run.out=disk >out 2>err
echo \$? >code
rm -rf copy
cp -a disk copy
mount -o remount,ro disk
"$wisp" run experiment.toml run.out=disk >out_read_only 2>err_read_only
echo \$? >code_read_only
END
maps=-r
[ "$(id -u)" != 0 ] || maps=
if unshare -m $maps bash on_disk.sh 2>/dev/null; then
    [ "$(cat code)" = 1 ] || fail "exit code $(cat code) on a full disk"
    goes_on "No space left on device"
    cp err_read_only err
    [ "$(cat code_read_only)" = 1 ] || fail "exit code $(cat code_read_only) on a read-only disk"
    says "Read-only file system" "run.out=DIR"
else
    echo "no mount is allowed here: a disk that is really full was not tried"
fi
