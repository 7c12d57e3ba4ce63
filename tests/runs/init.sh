#!/usr/bin/env bash
# init.sh BUILD_FOLDER: [[init]] tables give a new run its first weights by name, are part of the
# resolved file and of the manifest, do nothing on resuming, and say what does not fit.
. "$(dirname "$0")/run_kit.sh" "$1"

# knn NAME KIND: what the line of this kind says.
knn() {
    sed -n "s/^{\"kind\": \"$2\".*\"k_nn_top_1\": \([0-9.]*\),.*/\1/p" $1/smoke/0/metrics.jsonl
}

train source run.steps=4 </dev/null
stored=source/smoke/0/checkpoints/last.safetensors
[ "$("$tools/safetensors_list" $stored wisp.evaluated)" = student.backbone ] ||
    fail "the checkpoint does not say what is evaluated"

# --- the whole network, its follower included, and nothing of its training ---

still='[[optimizer.rule]]
pattern = "student.*"
lr = 0.0
[optimizer]
weight_decay = 0.0'
train whole run.baselines=true run.seed=0 <<END
$still
[[init]]
weights = "source/smoke/0"
from = "student"
into = "student"
END
grep -q "^begins with [0-9]* tensors of $stored: student into student$" out ||
    fail "the run does not say what it begins with"
[ -n "$(knn whole untrained)" ] && [ "$(knn whole untrained)" = "$(knn source task)" ] ||
    fail "the weights are not those of the source: $(knn whole untrained), $(knn source task)"
differing_tensors source whole >changed
grep '^student[.].*\(weight\|bias\|_[gv]\): ' changed >&2 && fail "weights differ, and nothing was trained"
grep -q '^teacher[.].*weight: ' changed || fail "the teacher is that of the source"

# A follower begins as a copy; one that is named has what its own file says.
constant='[schedule.teacher_momentum]
kind = "constant"
value = 1.0'
train teacher <<END
$constant
[[init]]
weights = "$stored"
from = "teacher"
into = "teacher"
END
differing_tensors source teacher >changed
grep '^teacher[.].*\(weight\|bias\|_[gv]\): ' changed >&2 && fail "the teacher is not that of the source"
grep -q '^student[.].*weight: ' changed || fail "the student is that of the source"
train copied <<END
$constant
[[init]]
weights = "$stored"
from = "student"
into = "student"
END
train none <<<"$constant"
differing_tensors source copied >changed
grep -q '^teacher[.]backbone[.]conv1[.]weight: ' changed || fail "the teacher did not follow"
[ -n "$(differing_tensors none copied | grep '^teacher[.]')" ] || fail "the teacher did not begin as a copy"

# --- the backbone alone is what is meant when nothing is said; layers may go elsewhere ---

train backbone <<END
$still
[[init]]
weights = "source/smoke/0"
END
differing_tensors source backbone >changed
grep '^student[.]backbone[.].*\(weight\|bias\): ' changed >&2 && fail "the backbone is another"
grep -q '^student[.]head[.].*weight: ' changed || fail "the head is that of the source"
train layer <<END
$still
[[init]]
weights = "$stored"
from = "student.backbone.layer2.0"
into = "student.backbone.layer2.0"
skip = ["downsample.*", "bn?.running_*"]
[[init]]
weights = "$stored"
from = "student.head.mlp.0.weight"
into = "student.head.mlp.0.weight"
END
differing_tensors source layer >changed
grep '^student[.]backbone[.]layer2[.]0[.]\(conv\|bn\).*\(weight\|bias\): ' changed >&2 &&
    fail "the block is another"
grep -q '^student[.]backbone[.]layer2[.]0[.]downsample[.]0[.]weight: ' changed || fail "skip skips nothing"
grep -q '^student[.]head[.]mlp[.]0[.]weight: ' changed && fail "the layer of the head is another"
grep -q '^student[.]head[.]mlp[.]1[.]' changed || fail "more of the head is that of the source"

# --- on record; a resumed run goes on from its checkpoint ---

grep -A 40 '"init"' layer/smoke/0/manifest.json >manifest
for words in "\"file\": \"$stored\"" '"from": "student.backbone.layer2.0"' \
    '"into": "student.head.mlp.0.weight"' '"tensors": 6' '"tensors": 1' '"hash": "'; do
    grep -qF -- "$words" manifest || fail "the manifest does not say $words"
done
grep -A 6 -F '[[init]]' layer/smoke/0/config.toml | head -n 6 | diff - <(
    cat <<END
[[init]]
weights = "$stored"
format = "wisp"
from = "student.backbone.layer2.0"
into = "student.backbone.layer2.0"
skip = ["downsample.*", "bn?.running_*"]
END
) >&2 || fail "the resolved file says something else"
run 0 run layer/smoke/0/config.toml run.out=again
same_runs layer/smoke/0 again/smoke/0
train straight run.steps=4 <<<'[[init]]
weights = "source/smoke/0"'
cp -a source kept
train parts <<<'[[init]]
weights = "kept/smoke/0"'
rm -r kept
train parts run.steps=4 <<<'[[init]]
weights = "kept/smoke/0"'
[ -z "$(differing_tensors straight parts)" ] || fail "the resumed run is another: $(differing_tensors straight parts)"
printf '[[task]]\nuse = "knn"\nk = 5\n' >tasks.toml
run 0 eval parts/smoke/0 tasks.toml

# --- check says it too ---

run 0 check layer.toml
grep -qF "# init: 6 tensors of $stored" out || fail "check does not say what a run would begin with"

# --- what may be wrong ---

wrong() { # CODE PLACE WORDS...; lines of the experiment from the input
    local code=$1 place=$2
    shift 2
    write_smoke wrong
    for verb in check run; do
        run "$code" $verb wrong.toml
        says "$place" "^" "$@"
        [ ! -e wrong ] || fail "a refused run leaves a folder"
    done
}
wrong 2 wrong.toml:7:11: "init.0: none.safetensors" "no such" <<END
[[init]]
weights = "none.safetensors"
END
wrong 2 wrong.toml:6:1: "init.0.weights is required" <<END
[[init]]
from = "student"
END
wrong 2 wrong.toml:6: "must be an array of tables" "[[init]]" <<END
[init]
weights = "source/smoke/0"
END
wrong 2 wrong.toml:8:1: 'unknown key "frm"' "from" <<END
[[init]]
weights = "source/smoke/0"
frm = "student"
END
wrong 2 wrong.toml:8:8: "holds nothing below \"studnt\"" "student.backbone" <<END
[[init]]
weights = "source/smoke/0"
from = "studnt"
END
wrong 2 wrong.toml:8:8: "\"studnt\" names nothing that has weights" "student.backbone" <<END
[[init]]
weights = "source/smoke/0"
into = "studnt"
END
wrong 2 wrong.toml:7:11: "missing there: " "student.backbone.mlp.0.weight" "not used here: " \
    "student.backbone.conv1.weight" "more" <<END
[[init]]
weights = "source/smoke/0"
into = "student.head"
END
wrong 2 wrong.toml:7:11: "of another kind: student.backbone.conv1.weight is f32 (8,3,3,3) there" \
    "here" "more" <<END
[[init]]
weights = "source/smoke/0"
[backbone]
width = 0.25
END
wrong 2 wrong.toml:7:11: "missing there: student.backbone.layer1.1.conv1.weight" <<END
[[init]]
weights = "shallow/smoke/0"
$(train shallow <<<'[backbone]
depth = 10')
END
wrong 2 wrong.toml:8:8: "skip leaves nothing" <<END
[[init]]
weights = "source/smoke/0"
skip = ["*"]
END
cp $stored cut.safetensors
truncate -s -1 cut.safetensors
wrong 1 wrong.toml:7:11: "init.0: cut.safetensors" "truncated" <<END
[[init]]
weights = "cut.safetensors"
END
printf 'no such file' >text.safetensors
wrong 1 wrong.toml:7:11: "init.0: text.safetensors" "not a safetensors file" <<END
[[init]]
weights = "text.safetensors"
END
mkdir empty
wrong 2 wrong.toml:7:11: "init.0: empty/checkpoints/last.safetensors" <<END
[[init]]
weights = "empty"
END
# Files that no run wrote: names from the top, counts of batches, values that are none.
"$tools/safetensors_make" foreign.safetensors conv1.weight=8,3,3,3:nan
wrong 2 wrong.toml:7:11: "not finite: conv1.weight" "missing there: bn1.weight" <<END
[[init]]
weights = "foreign.safetensors"
END
"$tools/safetensors_make" old.safetensors format=wisp.checkpoint/0 student.backbone.conv1.weight=8,3,3,3:1
wrong 2 wrong.toml:7:11: "does not say which of its networks is evaluated" "from =" <<END
[[init]]
weights = "old.safetensors"
END
"$tools/safetensors_make" foreign.safetensors conv1.weight=8,3,3,3:0.5 bn1.num_batches_tracked=int:7 \
    extra=3:1
wrong 2 wrong.toml:7:11: "not used here: extra" <<END
[[init]]
weights = "foreign.safetensors"
skip = ["layer*", "bn1.[!n]*"]
END
train foreign <<END
[[init]]
weights = "foreign.safetensors"
skip = ["layer*", "bn1.[!n]*", "extra"]
END
grep -q "^begins with 1 tensors of foreign.safetensors: into student.backbone$" out ||
    fail "the foreign file is not used"
