#!/usr/bin/env bash
# transfer.sh BUILD_FOLDER: `wisp export` writes the names and shapes of torchvision and timm,
# `wisp import` takes them back without a change, and both say what they cannot do.
. "$(dirname "$0")/run_kit.sh" "$1"
names=$source_folder/tests/golden/transfer

write_experiment() { # NAME, with the lines of [backbone] from the input
    {
        cat <<END
extends = "$base"
[run]
name = "$1"
out = "runs"
threads = 1
workers = 1
steps = 1
[data]
count = 16
[test]
count = 16
[sampler]
global = { count = 2, size = 32 }
local = { count = 2, size = 16 }
[optimizer]
use = "sgd"
lr = 0.01
[[probe]]
use = "linear"
[backbone]
END
        cat
    } >$1.toml
}
write_experiment resnet <<<'width = 1.0
stem = "imagenet"'
write_experiment mobilenet <<<'use = "mobilenet_v2"
width = 0.35'
write_experiment vit <<<'use = "vit"
dim = 192
depth = 12
heads = 3
mask_token = true'
for name in resnet mobilenet vit; do
    sed -i 's/local = .*/local = { count = 2, size = 32 }/' vit.toml # a patch takes 16 px
    run 0 run $name.toml
done

# --- names and shapes are those of the libraries ---

# exported NAME LIBRARY GOLDEN: without a classifier, and with the probe's.
exported() {
    local classifier
    run 0 export runs/$1/0 $1.$2 --format $2
    "$tools/safetensors_list" $1.$2 >list
    tail -n +2 "$names/$3.txt" | diff - list >&2 || fail "$1 for $2 is not $3"
    classifier=$(sed -n '1s/^# classifier: //p' "$names/$3.txt")
    run 0 export runs/$1/0 with_probe --format $2 --classifier probe0.classifier
    "$tools/safetensors_list" with_probe | diff list - | grep '^[<>]' | cut -d ' ' -f 1-3 >added
    printf "> $classifier.bias f32\n> $classifier.weight f32\n" | diff - added >&2 ||
        fail "the classifier of $1 for $2 is something else"
}
exported resnet torchvision torchvision_resnet18
exported resnet timm timm_resnet18
exported mobilenet torchvision torchvision_mobilenetv2_035
exported mobilenet timm timm_mobilenetv2_035
exported vit timm timm_vit_tiny
grep -q "^with_probe: 152 tensors" out || fail "export miscounts"
exported vit torchvision torchvision_vit_tiny
run 0 export runs/vit/0 vit.timm --format timm
grep -qF "1 more that timm has no place for" out || fail "the mask token goes unmentioned"
grep -qF 'model = timm.create_model("vit_tiny_patch16_224", num_classes=0)' out ||
    fail "export does not say how to load the file"
[ "$("$tools/safetensors_list" vit.timm format)" = pt ] || fail "no format for PyTorch"
run 0 export runs/resnet/0 out.safetensors --format torchvision --json
"$tools/json_lines" <(tr -d '\n' <out && echo) >/dev/null || fail "export --json gives no JSON"
grep -qF '"headless": "model.fc = torch.nn.Identity()"' out || fail "export --json says something else"

# --- other networks of the run, wisp's own names ---

run 0 export runs/mobilenet/0 teacher --format wisp --network teacher
run 0 export runs/mobilenet/0/checkpoints/last.safetensors student --format wisp
"$tools/safetensors_list" runs/mobilenet/0/checkpoints/last.safetensors |
    sed -n 's/^student[.]backbone[.]//p' | diff - <("$tools/safetensors_list" student) >&2 ||
    fail "wisp's own names are changed"
"$tools/safetensors_diff" teacher student | grep -q "^features" || fail "teacher and student are the same"
run 0 export runs/mobilenet/0 path --format wisp --network student.head.mlp
"$tools/safetensors_list" path | grep -q '^0[.]weight ' || fail "a part of a network is not exported"

# --- back again, and nothing is lost ---

printf '[[task]]\nuse = "knn"\nk = 5\n' >tasks.toml
back() { # NAME LIBRARY MORE...
    run 0 import $1.$2 $1.toml --format $2 run.name=$1_$2 "${@:3}"
    grep -qx "run folder: runs/$1_$2/0" out || fail "import does not say where the run is"
    run 0 export runs/$1_$2/0 again --format $2
    "$tools/safetensors_diff" $1.$2 again | grep '^[^ ]*: ' | grep -v '^wisp[.]toml: ' >&2 &&
        fail "$1 comes back changed from $2"
    run 0 eval runs/$1/0 tasks.toml
    cp out first
    run 0 eval runs/$1_$2/0 tasks.toml
    diff first out >&2 || fail "$1 back from $2 is judged differently"
}
for library in torchvision timm; do
    back resnet $library
    back mobilenet $library
    back vit $library backbone.mask_token=false # what the file has no value for begins anew
done
run 0 import with_probe vit.toml --format torchvision run.name=headless --json # its classifier stays behind
"$tools/json_lines" <(tr -d '\n' <out && echo) >/dev/null || fail "import --json gives no JSON"
grep -qF '"folder": "runs/headless/0"' out || fail "import --json says something else"
run 0 import student mobilenet.toml --format wisp --into teacher.backbone run.name=into
grep -q "into teacher.backbone$" out || fail "import --into does something else"

# The run says what it began with, is no other when it is imported over, and can be trained on.
grep -A 8 '"init"' runs/vit_timm/0/manifest.json | grep -qF '"file": "vit.timm"' ||
    fail "the manifest does not say what was imported"
run 2 import vit.timm vit.toml --format timm run.name=vit_timm
says "runs/vit_timm/0 already holds a run"
run 0 run runs/mobilenet_timm/0/config.toml
[ -s runs/mobilenet_timm/0/metrics.jsonl ] || fail "nothing was trained"

# The same by [[init]].
write_experiment started <<<'use = "mobilenet_v2"
width = 0.35
[[init]]
weights = "mobilenet.timm"
format = "timm"'
run 0 run started.toml
"$tools/safetensors_diff" runs/started/0/checkpoints/last.safetensors \
    runs/mobilenet_timm/0/checkpoints/last.safetensors | grep '^[^w][^ ]*: ' >&2 &&
    fail "[[init]] begins otherwise than import"

# --- a whole classifier: a supervised network goes out with its head and comes back with it ---

cat >supervised.toml <<END
extends = "resnet.toml"
[run]
name = "supervised"
[sampler]
global = { count = 1, size = 32 }
local = { count = 0 }
jitter = 0.0
gray = 0.0
[method]
use = "supervised"
head = "linear"
[[probe]]
use = "classify"
END
sed '/\[\[probe\]\]/,$d' supervised.toml >judged.toml
printf '[[task]]\nuse = "classify"\n' | tee -a judged.toml >classify.toml
run 0 run supervised.toml
run 0 export runs/supervised/0 classifier --format torchvision --classifier network.head.classifier
cat >>judged.toml <<END
[[init]]
weights = "classifier"
from = "fc"
into = "network.head.classifier"
END
run 0 import classifier judged.toml --format torchvision run.name=judged
run 0 eval runs/supervised/0 classify.toml
cp out first
run 0 eval runs/judged/0 classify.toml
diff first out >&2 || fail "the classifier that came back is judged differently"

# --- what may be wrong ---

refused() { # CODE WORDS... -- ARGUMENTS...
    local code=$1 words=()
    shift
    while [ "$1" != -- ]; do
        words+=("$1")
        shift
    done
    shift
    rm -f target
    run "$code" "$@"
    says "${words[@]}"
    [ ! -s out ] || fail "a refused call says something: wisp $*"
    [ ! -e target ] || fail "a refused call leaves a file: wisp $*"
}
last=runs/resnet/0/checkpoints/last.safetensors
refused 2 "--format is missing" -- export runs/resnet/0 target
refused 2 "--format is missing" -- import resnet.timm resnet.toml
refused 2 "too few arguments" -- export runs/resnet/0 --format timm
refused 2 "too few arguments" -- import resnet.timm --format timm
refused 2 "no such run folder" -- export runs/none/0 target --format timm
refused 2 'does not know the names of "keras"' "wisp, torchvision, timm" -- \
    export runs/resnet/0 target --format keras
refused 2 'holds no weights below "nobody.backbone"' "it holds: " "student" "teacher" -- \
    export runs/resnet/0 target --format timm --network nobody
refused 2 "holds no probe1.classifier.weight" "probe0.classifier" -- \
    export runs/resnet/0 target --format timm --classifier probe1.classifier
refused 2 "is no classifier of the embedding" "(classes,512)" -- \
    export runs/resnet/0 target --format timm --classifier student.head.mlp.3
refused 2 "not with --format wisp" -- \
    export runs/resnet/0 target --format wisp --classifier probe0.classifier
refused 2 "is the checkpoint itself" -- export runs/resnet/0 $last --format timm
refused 2 "is a folder" -- export runs/resnet/0 runs --format timm
refused 2 "no_folder/target" -- export runs/resnet/0 no_folder/target --format timm
cp -a runs/resnet damaged
truncate -s -1 damaged/0/checkpoints/last.safetensors
refused 1 "truncated" -- export damaged/0 target --format timm
sed -i 's/"imagenet"/"cifar"/' damaged/0/config.toml
cp $last damaged/0/checkpoints/
refused 2 'stem = "cifar"' -- export damaged/0 target --format torchvision
rm damaged/0/config.toml
refused 2 "config.toml" -- export damaged/0 target --format torchvision
cp runs/resnet/0/config.toml damaged/0/
cp resnet.timm damaged/0/checkpoints/plain.safetensors
refused 2 "does not say which of its networks" -- \
    export damaged/0/checkpoints/plain.safetensors target --format timm
cp "$source_folder/tests/golden/resnet18.safetensors" damaged/0/checkpoints/
refused 1 "carries no hash" -- export damaged/0/checkpoints/resnet18.safetensors target --format timm

refused 2 "none.toml" -- import resnet.timm none.toml --format timm
not_taken() { # WORDS... -- ARGUMENTS...
    refused "$@" run.name=other
    [ ! -e runs/other ] || fail "a refused import leaves a run"
}
not_taken 2 "none.safetensors" -- import none.safetensors resnet.toml --format timm
not_taken 2 "import: mobilenet.timm does not fit" "missing there: features.0.0.weight" \
    "not used here: " "more" -- import mobilenet.timm mobilenet.toml --format torchvision
not_taken 2 "of another kind: conv1.weight is f32 (64,3,7,7) there and f32 (32,3,7,7) here" -- \
    import resnet.torchvision resnet.toml --format wisp backbone.width=0.5
not_taken 2 "missing there: layer1.2.conv1.weight" -- import resnet.timm resnet.toml --format timm backbone.depth=34
run 0 export runs/resnet/0 fc --format torchvision --classifier probe0.classifier
not_taken 2 "not used here: fc.bias, fc.weight" "skip" -- import fc resnet.toml --format wisp
not_taken 2 'timm has no mobilenetv2 of width = 0.6' -- import mobilenet.timm mobilenet.toml --format timm backbone.width=0.6
not_taken 2 'holds nothing below "module"' -- import resnet.timm resnet.toml --format timm --from module
not_taken 2 '"nobody" names nothing that has weights' -- import resnet.timm resnet.toml --format timm --into nobody
head -c 100000 resnet.timm >cut
not_taken 1 "cut: truncated" -- import cut resnet.toml --format timm
not_taken 1 "README.md: " -- import "$source_folder/README.md" resnet.toml --format timm

# A full disk: what was there stays, and nothing else is left.
cp resnet.timm target
code=0
(trap '' XFSZ && ulimit -f 64 && "$wisp" export runs/mobilenet/0 target --format timm >out 2>err) || code=$?
[ $code = 1 ] || fail "a full disk goes unnoticed"
cmp target resnet.timm >&2 || fail "a full disk destroys the file that was there"
[ "$(find . -maxdepth 1 -name 'target*' | wc -l)" = 1 ] || fail "a full disk leaves a half file"
code=0
(trap '' XFSZ && ulimit -f 64 &&
    "$wisp" import mobilenet.timm mobilenet.toml --format timm run.name=full >out 2>err) || code=$?
[ $code = 1 ] || fail "a full disk goes unnoticed"
[ -z "$(find runs/full -name '*.safetensors*')" ] || fail "a full disk leaves half a checkpoint"
run 0 import mobilenet.timm mobilenet.toml --format timm run.name=full
