#!/usr/bin/env bash
# sslight_names.sh BUILD_FOLDER: tools/torch_to_safetensors.py turns every name of SSLight's checkpoints
# into the one that wisp's networks have. The names there are those of the libraries, packed as SSLight
# packs them: a flat sequence in place of torchvision's attributes. Without Python it is skipped; PyTorch
# is not needed, as no tensor is read.
. "$(dirname "$0")/run_kit.sh" "$1"
names=$source_folder/tests/golden/transfer
python3 -c '' 2>err || { echo "skipped: no python3"; exit 77; }

cat >convert.py <<'END'
import sys, types
for name in ("torch", "safetensors", "safetensors.torch"):
    sys.modules[name] = types.ModuleType(name)
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
from torch_to_safetensors import sslight
named, evaluated, left = sslight(dict.fromkeys(sys.stdin.read().split()))
print("\n".join(sorted(named)))
print("evaluated:", evaluated, "left:", *sorted(left), file=sys.stderr)
END

# --- their names ---

library() { # LIST: without the classifier
    tail -n +2 "$names/$1.txt" | cut -d ' ' -f 1
}
resnet() { # encoder.0 is the first convolution, 1 its norm, 2 and 3 hold nothing, 4 to 7 are the stages
    library torchvision_resnet18 |
        sed 's/^conv1[.]/encoder.0./; s/^bn1[.]/encoder.1./; s/^layer1[.]/encoder.4./
             s/^layer2[.]/encoder.5./; s/^layer3[.]/encoder.6./; s/^layer4[.]/encoder.7./'
}
mobilenet() {
    library torchvision_mobilenetv2_100 | sed 's/^features[.]/encoder./'
}
layers() { # WHERE LINEAR... -- NORM...
    local where=$1 names="weight bias"
    shift
    for layer; do
        [ $layer != -- ] || { names="weight bias running_mean running_var num_batches_tracked"; continue; }
        printf "$where.$layer.%s\n" $names
    done
}
below() { sed "s/^/module.$1./"; }
dino() { # NETWORK BACKBONE LAYERS...
    "$2" | below "$1.backbone"
    layers head.mlp "${@:3}" | below "$1"
    printf '%s\n' head.last_layer.weight_g head.last_layer.weight_v | below "$1"
}
vit() { library timm_vit_tiny; }
classifier=$(printf 'module.classifier.%s\n' weight bias)
moco_queue=$(printf 'module.%s\n' queue queue_ptr)

# --- ours, and what becomes of theirs ---

# converted KIND EVALUATED LEFT, with their names from the input: against the checkpoint of a run of ours.
converted() {
    python3 convert.py "$source_folder/tools" >theirs 2>said || fail "$1: $(cat said)"
    [ "$(cat said)" = "evaluated: $2 left:$3" ] || fail "$1: $(cat said)"
    "$tools/safetensors_list" $1/smoke/0/checkpoints/last.safetensors | cut -d ' ' -f 1 |
        grep -v -e '^optimizer[.]' -e '^state[.]' | LC_ALL=C sort >ours
    [ "$(wc -l <ours)" -gt 100 ] || fail "$1: too few names here"
    grep -v '[.]num_batches_tracked$' theirs | LC_ALL=C sort | diff ours - >&2 || fail "$1: names differ"
}
probe='[[probe]]
use = "linear"'
mobile="[backbone]
use = \"mobilenet_v2\"
width = 0.1"
train resnet <<<"$probe"
{ for n in student teacher; do dino $n resnet 0 3 6 -- 1 4; done; echo "$classifier"; } |
    converted resnet student.backbone ""
train vit 'sampler.local.size=16' <<END
[backbone]
use = "vit"
dim = 24
heads = 3
[method]
head_batch_norm = false
$probe
[input]
eval_size = 16
END
{ for n in student teacher; do dino $n vit 0 2 4; done; echo "$classifier"; } |
    converted vit student.backbone ""
train swav 'method={ use = "swav", prototypes = 24, hidden_dim = 32, out_dim = 16 }' <<<"$mobile
$probe"
{ mobilenet | below network.backbone
  layers head.projection.mlp 0 3 -- 1 | below network
  echo module.network.head.prototypes.weight; echo "$classifier"; } | converted swav network.backbone ""
train moco 'method={ use = "moco", queue_length = 64, hidden_dim = 32, out_dim = 16 }' <<<"$mobile
$probe"
{ for n in encoder_q encoder_k; do
      mobilenet | below $n.backbone
      layers head.mlp 0 2 | below $n
  done; echo "$classifier"; echo "$moco_queue"; } |
    converted moco encoder_q.backbone " module.queue module.queue_ptr"
