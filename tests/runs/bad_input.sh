#!/usr/bin/env bash
# bad_input.sh BUILD_FOLDER: what may be wrong with an experiment, a plugin or the data ends with a
# message that says what to change, never with a crash or half a file.
. "$(dirname "$0")/run_kit.sh" "$1"

write_experiment() { # DATA_FOLDER, and more lines from the input
    cat - >experiment.toml <<END
[run]
epochs = 1
batch = 100
threads = 1
workers = 1
metric_steps = 1
[input]
eval_resize = 8
eval_size = 8
[data]
use = "image_folder"
path = "$1"
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
use = "sgd"
lr = 0.01
END
    cat >>experiment.toml
}

nothing_made() {
    [ ! -e runs ] || fail "a run folder was made: $(find runs)"
}

# --- the file ---

cat >base.toml <<END
extends = "$base"
[run]
threads = 1
END

# wrong LINE_AND_COLUMN WORDS... : the text on the input, laid over the base, is refused. The line
# stands in the message, with a caret below the place.
wrong() {
    local place=$1
    shift
    { echo 'extends = "base.toml"' && cat; } >wrong.toml
    run 2 run wrong.toml
    says "wrong.toml:$place:" "^" "$@"
    nothing_made
}

wrong 3:1 "bach" "batch" <<END
[run]
bach = 16
END
wrong 3:9 "run.batch" "integer in [1" <<END
[run]
batch = "sixteen"
END
wrong 3:9 "run.batch is out of range" <<END
[run]
batch = 0
END
wrong 4:5 "k" "[1, 4096]" <<END
[[probe]]
use = "knn"
k = 5000
END
wrong 3:7 'there is no sampler plugin "multicorp"' "multicrop" <<END
[sampler]
use = "multicorp"
END
wrong 2:2 "samplers" "sampler" <<END
[samplers]
use = "multicrop"
END
wrong 3:13 'precision' "f32" "bf16" <<END
[run]
precision = "f64"
END
wrong 3:8 "cannot name a folder" <<END
[run]
name = "a/b"
END
wrong 3:32 "inline table" <<END
[sampler]
global = { count = 2, size = 16
END

run 2 run no_such_file.toml
says "no_such_file.toml"
run 2 run base.toml optimizer.lr=fast
says "optimizer.lr=fast" "^" "number"
run 2 run base.toml run.device=abacus
says 'run.device = "abacus"'
run 2 run base.toml method.out_dim
says "method.out_dim"
nothing_made

# --- plugins ---

bad=$build/tests/bad
with_bad() { # PLUGIN WORDS...
    local name=$1
    shift
    printf 'extends = "base.toml"\n[method]\nuse = "%s"\n' "$name" >wrong.toml
    run 2 run wrong.toml --plugin-path "$bad"
    says "$name" "$@"
    nothing_made
}
with_bad bad_text "wisp-method-bad_text.so"
with_bad bad_empty "wisp-method-bad_empty.so"
with_bad bad_abi_major "ABI"
with_bad bad_unresolved "undefined symbol"
printf 'extends = "base.toml"\n[method]\nuse = "bad_create"\n' >wrong.toml
run 1 run wrong.toml --plugin-path "$bad"
says "the moon is not full: wait for it" "bad_create"
nothing_made

# --- data ---

data=$source_folder/tests/data/image_folder
mkdir -p empty one_class/disc flat
cp "$data"/disc/0[036].jpg one_class/disc
cp "$data"/disc/0[036].jpg flat

write_experiment empty </dev/null
run 1 run experiment.toml
says "holds no image" ".jpg"
write_experiment missing </dev/null
run 2 run experiment.toml
says "cannot open the folder" "missing"
write_experiment flat </dev/null
run 2 run experiment.toml
says "run.batch = 100 is larger than the data set, which has 3 images" "smaller"
nothing_made

probe='[[probe]]
use = "linear"'
test='
[test]
use = "image_folder"
path ='
write_experiment flat <<<"$probe"
run 2 run experiment.toml run.batch=2
says "[[probe.0]] linear needs labels" "[data]" "flat folder" "sub-folder"
write_experiment one_class <<<"$probe"
run 2 run experiment.toml run.batch=2
says "[[probe.0]] linear needs a table [test]"
write_experiment one_class <<<"$probe$test 'flat'"
run 2 run experiment.toml run.batch=2
says "[[probe.0]] linear needs labels" "[test]" "flat folder" "sub-folder"
write_experiment one_class <<<"$probe$test '$data'"
run 2 run experiment.toml run.batch=2
says "different numbers of classes: 1 and 2"
nothing_made
loo='[[task]]
use = "knn"
protocol = "leave_one_out"
k = 1'
mkdir -p renamed/disk renamed/stripes
cp "$data"/disc/0[036].jpg renamed/disk
cp "$data"/disc/0[036].jpg renamed/stripes
warning='class 0 is "disc" in [data] and "disk" in [test]: are these the same classes?'
write_experiment one_class <<<'[[task]]
use = "linear"'"$test 'one_class'"
run 2 run experiment.toml run.batch=2
says "[[task.0]] linear can only be used as a [[probe]]"
nothing_made
write_experiment "$data" <<<"$probe$test 'renamed'"
run 0 check experiment.toml run.batch=2
says "$warning"
# Only the images of [test] vote, so the classes of [data] may be others, or none.
write_experiment "$data" <<<"$loo$test 'renamed'"
run 0 check experiment.toml run.batch=2
! grep -F "the same classes" err || fail "classes are compared that are never used together"
for other in one_class flat; do
    write_experiment $other <<<"$loo$test '$data'"
    run 0 run experiment.toml run.batch=2 run.out=loo_$other
    grep -q "^k-NN top-1: trained" out || fail "leave_one_out says nothing"
done
write_experiment one_class <<<"$probe$test 'one_class'"
run 0 run experiment.toml run.batch=2 run.out=one
says "has one class only"
write_experiment flat </dev/null
run 0 run experiment.toml run.batch=2 run.out=flat_run

# --- images that cannot be used: 1,100 of them, names in the order of the data set ---

mkdir -p many/disc many/stripes
for ((i = 0; i < 550; i++)); do
    ln "$data"/disc/00.jpg many/disc/$i.jpg 2>/dev/null || cp "$data"/disc/00.jpg many/disc/$i.jpg
    cp many/disc/$i.jpg many/stripes/$i.jpg
done
rm many/disc/123.jpg
head -c 400 "$data"/disc/00.jpg >many/disc/123.jpg
write_experiment many </dev/null
run 0 run experiment.toml run.out=a
says "disc/123.jpg) is unusable and replaced" "1 of 1100 training images were unusable"
run 0 run experiment.toml run.out=b run.workers=3
says "disc/123.jpg) is unusable and replaced" "1 of 1100 training images were unusable"
same_runs a/run/0 b/run/0
: >many/disc/77.jpg
echo "no image" >many/stripes/300.jpg
run 1 run experiment.toml run.out=c
says "of 1100 samples are unusable, more than 0.1 %: repair or remove them, or raise run.bad_samples"

# --- numbers that are not finite ---

cat >diverges.toml <<END
extends = "$base"
[run]
epochs = 3
steps = 0
threads = 1
workers = 1
checkpoint_minutes = 0.00001
out = "diverged"
[schedule.lr]
value = 1e30
END
checkpoint=diverged/smoke/0/checkpoints/last.safetensors
run 1 run diverges.toml
says "the loss is" "at step 1" "the last checkpoint stays as it is" "--check-finite" "learning rate"
"$tools/safetensors_diff" $checkpoint $checkpoint || fail "the last checkpoint was damaged"
cp $checkpoint kept
run 1 run diverges.toml --check-finite
says "is the first op whose result is not finite" "its inputs were"
cmp kept $checkpoint || fail "the last good checkpoint was replaced"

# Weights that have overflown while the loss was finite are not kept either.
run 1 run diverges.toml run.out=drifted schedule.lr.value=1e4
says "is not finite after step" "the last checkpoint stays as it is" "--check-finite"
checkpoint=drifted/smoke/0/checkpoints/last.safetensors
"$tools/safetensors_diff" $checkpoint $checkpoint || fail "the last checkpoint was damaged"
