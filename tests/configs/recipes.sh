#!/usr/bin/env bash
# recipes.sh BUILD_FOLDER: `wisp check` passes on every experiment of the two matrices; baseline and
# SSLight differ in exactly the published keys; the published runs have the published values, sizes
# and counts. Data sets are replaced by generated images of the same number, so nothing is read.
. "$(dirname "$0")/../runs/run_kit.sh" "$1"
published=$source_folder/tests/configs/published.txt
backbones="mobilenet_v2 resnet18 resnet34 resnet50 vit_tiny"
short_cells="dino_resnet18 dino_mobilenet_v2 moco_resnet18 swav_resnet18"
published_cells="dino.mobilenet_v2 dino.resnet18 dino.resnet34 dino.vit_tiny swav.mobilenet_v2
moco.mobilenet_v2"
failures=0

complain() {
    echo "FAILED: $*" >&2
    failures=$((failures + 1))
}

# flatten: resolved TOML as lines "table.key = value"; tables of an array are numbered.
flatten() {
    awk '/^#/ || NF == 0 { next }
    /^\[\[/ { gsub(/[][]/, ""); table = $0 "." n[$0]++; next }
    /^\[/   { gsub(/[][]/, ""); table = $0; next }
            { print table "." $0 }' | sort
}

# check FOLDER CELL RECIPE: leaves <name>.toml, flat, and <name>.facts, the lines about sizes.
check() {
    local images=1281167 judges=50000 name=$1.$2.$3
    [ "$1" = imagenet ] || { images=50000 judges=10000; }
    "$wisp" check "$source_folder/configs/$1/${2/.//}_$3.toml" run.device=cpu \
        data.use=synthetic data.count=$images data.classes=100 \
        test.use=synthetic test.split=test test.count=$judges test.classes=100 \
        >"$name.out" 2>"$name.err" || return 1
    grep '^#' "$name.out" >"$name.facts"
    flatten <"$name.out" >"$name.toml"
}

# has NAME LINE...: the resolved experiment says so.
has() {
    local of=$1 line
    shift
    for line in "$@"; do
        grep -qxF -- "$line" "$of.toml" ||
            complain "$of: not \"$line\" but \"$(grep -F "${line%% =*} =" "$of.toml")\""
    done
}

# tells NAME TEXT...: the lines about sizes hold each text.
tells() {
    local of=$1 text
    shift
    for text in "$@"; do
        grep -qF -- "$text" "$of.facts" || complain "$of: not \"$text\" in: $(cat "$of.facts")"
    done
}

# same_but FOLDER CELL: what differs between the two recipes is what was published, and their names.
same_but() {
    local differing
    differing=$(diff "$1.$2.baseline.toml" "$1.$2.sslight.toml" | sed -n 's/^[<>] \(.*\) = .*/\1/p' |
        sort -u | tr '\n' ' ')
    [ "$differing" = "method.pair_weights run.name sampler.global.scale sampler.local.scale \
sampler.local.size " ] || complain "$1 $2: baseline and SSLight differ in: $differing"
}

# views NAME LOCAL_SIZE GLOBAL_SCALE LOCAL_SCALE PAIR_WEIGHTS
views() {
    has "$1" "sampler.local.size = $2" "sampler.global.scale = $3" "sampler.local.scale = $4" \
        "method.pair_weights = $5"
}

# cell FOLDER METHOD BACKBONE BASELINE_SIZE SSLIGHT_SIZE
cell() {
    local of=$2.$3 recipe
    check "$1" "$of" baseline & # both at once
    check "$1" "$of" sslight
    wait
    for recipe in baseline sslight; do
        [ -s "$1.$of.$recipe.toml" ] ||
            { complain "wisp check configs/$1/$2/$3_$recipe.toml: $(cat "$1.$of.$recipe.err")"; return; }
    done
    same_but "$1" "$of"
    if [ "$3" = vit_tiny ]; then
        views "$1.$of.baseline" "$4" "[0.25, 1.0]" "[0.05, 0.25]" "[0.090909, 0.909091]"
    else
        views "$1.$of.baseline" "$4" "[0.14, 1.0]" "[0.05, 0.14]" "[0.142857, 0.857143]"
    fi
    views "$1.$of.sslight" "$5" "[0.3, 1.0]" "[0.05, 0.3]" "[0.4, 0.6]"
}

for method in dino swav moco; do
    for backbone in $backbones; do
        cell imagenet $method $backbone 96 128
        cell cifar10 $method $backbone 12 16
    done
done
for of in $short_cells; do
    cell cifar10 short "$of" 12 16
done

# Every experiment of these folders was looked at.
for file in "$source_folder"/configs/{{imagenet,cifar10}/{dino,swav,moco},cifar10/short}/*.toml; do
    cell=${file#"$source_folder"/configs/}
    cell=${cell%.toml}
    cell=${cell//\//.}
    [ -e "${cell%_*}.${cell##*_}.toml" ] || complain "$file is not in the matrix"
done

# --- the published runs, key by key ---

# apply SECTION CELL: the lines of a section of published.txt hold for both recipes of a cell.
apply() {
    local line recipe
    while IFS= read -r line; do
        for recipe in baseline sslight; do
            has "imagenet.$2.$recipe" "$line"
        done
    done < <(awk -v want="[$1]" '/^\[/ { inside = $0 == want; next } inside && NF && !/^#/' "$published")
}

for of in $published_cells; do
    apply all "$of"
    case $of in
    *.vit_tiny) apply dino_vit "$of" ;;
    *) apply "${of%.*}_cnn" "$of" ;;
    esac
done

# --- sizes and counts; the classifier beside the method has 100 classes here, not 1,000 ---

# sizes NAME PARAMETERS DIM MMACS224 MMACS96 MMACS128 STATE_ENTRIES CONVOLUTIONS BATCH_NORMS CHANNELS:
# published state entries hold a classifier and a count for each batch norm, which are not kept here.
sizes() {
    local method
    for method in dino swav moco; do
        tells "imagenet.$method.$1.baseline" \
            "backbone: $(($7 - 2 - $9)) tensors, $8 convolutions, $9 batch norms of ${10} channels"
        tells "imagenet.$method.$1.baseline" "backbone: $2 parameters, $4 MMACs an image at 224 px" \
            "embedding of $3" "2 global of 224 px, $4 MMACs" "local of 96 px, $5 MMACs" \
            "200 epochs of 1251 steps of 1024 images"
        tells "imagenet.$method.$1.sslight" "local of 128 px, $6 MMACs"
    done
}
sizes mobilenet_v2 2223872 1280 299.5 55.0 97.8 314 52 52 17056
sizes resnet18 11176512 512 1813.6 333.1 592.2 122 20 20 4800
sizes resnet34 21284672 512 3663.2 672.8 1196.2 218 36 36 8512
sizes resnet50 23508032 2048 4087.1 750.7 1334.6 320 53 53 26560
sizes vit_tiny 5524416 192 1253.5 208.0 374.0 152 1 0 0

# trained CELL PARAMETERS DIM
trained() {
    local recipe
    for recipe in baseline sslight; do
        tells "imagenet.$1.$recipe" "method: $(($2 - 900 * ($3 + 1))) trained parameters"
    done
}
trained dino.mobilenet_v2 11906024 1280
trained dino.resnet18 18517800 512
trained dino.resnet34 28625960 512
trained dino.resnet50 35531048 2048
trained dino.vit_tiny 27676328 192
trained swav.mobilenet_v2 9668456 1280
trained moco.mobilenet_v2 6390632 1280

# Each tells steps, multiply-adds and memory of a step; SSLight's larger views need more of both.
step_of() { # FIELD NAME: GMACs or MiB
    sed -n "s/^# step: \([0-9.]*\) GMACs, [1-9][0-9]* operations, about \([0-9]*\) MiB .*/\\$1/p" "$2.facts"
}
for folder in imagenet cifar10; do
    for method in dino swav moco; do
        for backbone in $backbones; do
            of=$folder.$method.$backbone
            tells $of.baseline "200 epochs of "
            for field in 1 2; do
                awk -v less="$(step_of $field $of.baseline)" -v more="$(step_of $field $of.sslight)" \
                    'BEGIN { exit !(less > 0 && more > less) }' || complain "$of: no such steps: $(cat $of.*.facts)"
            done
        done
    done
done

# Pixel scales as published: the mean of local over global in closed form.
tells imagenet.dino.resnet18.baseline "pixel scale 1.18 by area, 1.04 by length"
tells imagenet.dino.vit_tiny.baseline "pixel scale 1.51 by area, 1.18 by length"
tells imagenet.dino.vit_tiny.sslight "pixel scale 0.92 by area, 0.92 by length"

tells cifar10.dino.resnet18.baseline "pixel scale 1.54 by area"
tells cifar10.dino.vit_tiny.baseline "pixel scale 1.97 by area"
tells cifar10.dino.resnet18.sslight "pixel scale 1.20 by area"

# --- evaluations ---

# judged FOLDER FILE CELL: the tasks of an evaluation as the run of a cell would have them.
judged() {
    {
        echo "extends = \"$source_folder/configs/$1/$3.toml\""
        cat "$source_folder/configs/$1/eval/$2.toml"
    } >"judged.$1.$2.toml"
    "$wisp" check "judged.$1.$2.toml" run.device=cpu data.use=synthetic data.count=50000 \
        data.classes=100 test.use=synthetic test.split=test test.count=10000 test.classes=100 \
        >"$1.$2.out" 2>"$1.$2.err" || complain "$1/eval/$2: $(cat "$1.$2.err")"
    flatten <"$1.$2.out" >"$1.$2.toml"
    has "$1.$2" "${@:4}"
}
schedule="task.0.epochs = 100
task.0.lr_end = 1e-06
task.0.momentum = 0.9
task.0.nesterov = false
task.0.weight_decay = 0.0
task.0.crop_scale = [0.08, 1.0]
task.0.standardize = false"
mapfile -t schedule <<<"$schedule"
judged imagenet linear_cnn dino/resnet18_sslight 'task.0.features = "pooled"' 'task.0.batch = 4096' \
    'task.0.optimizer = "lars"' 'task.0.lr_per_256 = 0.05' 'task.0.augment = true' "${schedule[@]}"
judged imagenet linear_vit dino/vit_tiny_sslight 'task.0.features = "class_tokens"' 'task.0.blocks = 4' \
    'task.0.batch = 1024' 'task.0.optimizer = "sgd"' 'task.0.lr_per_256 = 0.01' 'task.0.augment = true' \
    "${schedule[@]}"
judged cifar10 linear_cnn dino/resnet18_sslight 'task.0.optimizer = "lars"' 'task.0.batch = 512' \
    'task.0.lr_per_256 = 0.5' \
    "${schedule[@]}"
judged cifar10 linear_vit dino/vit_tiny_sslight 'task.0.features = "class_tokens"' 'task.0.blocks = 4' \
    'task.0.optimizer = "sgd"' 'task.0.batch = 256' "${schedule[@]}"
for folder in imagenet cifar10; do
    judged $folder knn_reference dino/resnet18_sslight 'task.0.k = 20' 'task.0.temperature = 0.07' \
        'task.0.protocol = "leave_one_out"'
    judged $folder knn_literature dino/resnet18_sslight 'task.0.k = 20' 'task.0.temperature = 0.07' \
        'task.0.protocol = "train_test"'
done
# The run itself ends with the same probe.
has imagenet.dino.vit_tiny.sslight 'task.0.features = "class_tokens"' 'task.0.blocks = 4' \
    'task.0.optimizer = "sgd"' 'task.0.batch = 1024'
has imagenet.dino.resnet18.sslight 'task.0.features = "pooled"' 'task.0.optimizer = "lars"' \
    'task.0.batch = 4096'

# Weights to begin with: one step on generated images; nothing but names and shapes counts.
"$wisp" run "$source_folder/configs/imagenet/dino/mobilenet_v2_sslight.toml" run.out=start run.steps=1 \
    run.batch=4 data.use=synthetic data.count=8 test.use=synthetic test.count=8 sampler.global.size=32 \
    sampler.local.size=32 probe=[] task=[] run.device=cpu >start.out 2>&1 ||
    complain "no weights to begin with: $(cat start.out)"
start=start/imagenet-dino-mobilenet_v2-sslight/0

# tuned FOLDER FILE IMAGES BATCH EPOCHS STEPS HEAD OVERRIDES...: fine-tuning from these weights.
tuned() {
    "$wisp" check "$source_folder/configs/$1/eval/$2.toml" run.device=cpu data.use=synthetic \
        data.count="$3" data.classes=100 test.use=synthetic test.split=test test.count=1000 \
        test.classes=100 "${@:8}" >"$1.$2.out" 2>"$1.$2.err" ||
        complain "$1/eval/$2: $(cat "$1.$2.err")"
    grep '^#' "$1.$2.out" >"$1.$2.facts"
    flatten <"$1.$2.out" >"$1.$2.toml"
    has "$1.$2" 'run.drop_last = false' "run.batch = $4" "run.epochs = $5" 'method.use = "supervised"' "method.head = \"$7\"" \
        'optimizer.use = "sgd"' 'optimizer.nesterov = true' 'optimizer.momentum = 0.9' \
        'optimizer.weight_decay = 0.0' 'optimizer.lr_per_256 = 0.03' 'schedule.lr.kind = "cosine"' \
        'schedule.lr.per = "epoch"' 'schedule.lr.end = 1e-06' 'schedule.lr.warmup_epochs = 0.0' \
        'sampler.global.count = 1' 'sampler.global.scale = [0.08, 1.0]' 'sampler.local.count = 0' \
        'sampler.flip = 0.5' 'sampler.jitter = 0.0' 'sampler.gray = 0.0' 'sampler.global.blur = [0.0]' \
        'sampler.global.solarize = [0.0]' 'probe.0.use = "classify"'
    tells "$1.$2" "$5 epochs of $6 steps of $4 images"
}
tuned imagenet semi_1 12811 1024 60 13 mlp init.0.weights=$start init.1.weights=$start
tuned imagenet semi_10 128116 1024 30 126 mlp init.0.weights=$start init.1.weights=$start
tuned imagenet finetune 1281167 1024 30 1252 linear init.0.weights=$start
tuned imagenet imported 1281167 1024 30 1252 linear
tuned cifar10 semi_1 500 64 60 8 mlp init=[]
tuned cifar10 semi_10 5000 256 30 20 mlp init=[]
tuned cifar10 finetune 50000 256 30 196 linear init=[]
for of in imagenet.semi_1 imagenet.semi_10; do
    # MobileNetV2, two layers of 2,048 with batch norm, and here 100 classes instead of 1,000.
    tells $of "method: $((2223872 + 1280 * 2048 + 2048 * 2048 + 2 * 3 * 2048 + 2048 * 100 + 100)) trained"
    has $of 'method.hidden_dim = 2048' 'init.1.from = "student.head.mlp"' \
        'init.1.into = "network.head.mlp"' 'init.1.skip = ["6.*"]' 'schedule.lr.value = 0.12' \
        'run.precision = "f32"' 'input.eval_size = 224' 'sampler.global.size = 224'
done
# The other backbones, by override.
for depth in 18:11176512 34:21284672; do
    tuned imagenet semi_1 12811 1024 60 13 mlp init=[] backbone.use=resnet backbone.depth="${depth%:*}"
    tells imagenet.semi_1 "backbone: ${depth#*:} parameters" \
        "method: $((${depth#*:} + 512 * 2048 + 2048 * 2048 + 2 * 3 * 2048 + 2048 * 100 + 100)) trained"
done
grep -qx 'fraction = 0.01' "$source_folder/configs/imagenet/eval/semi_1.toml" &&
    grep -qx 'fraction = 0.1' "$source_folder/configs/imagenet/eval/semi_10.toml" ||
    complain "semi-supervised runs take another share of the images"
for file in "$source_folder"/configs/{imagenet,cifar10}/eval/*.toml; do
    of=${file#"$source_folder"/configs/}
    of=${of%.toml}
    [ -e "${of/\/eval\//.}.toml" ] || complain "$file was not looked at"
done

# --- what the pages say is there ---

cd "$source_folder" || exit 1
for file in $(grep -ohE 'configs/[a-z0-9_/]+\.toml' docs/recipes.md configs/README.md); do
    [ -e "$file" ] || complain "a page names $file, which is not there"
done
for of in $published_cells; do
    for recipe in baseline sslight; do
        grep -qF "wisp run configs/imagenet/${of/.//}_$recipe.toml" docs/recipes.md ||
            complain "docs/recipes.md does not name the published run $of $recipe"
    done
done

[ "$failures" = 0 ] || fail "$failures of the experiments' properties"
