#!/usr/bin/env bash
# wisp data: what is there is counted, what is broken is named and fails the call.
. "$(dirname "$0")/expect.bash"

files="$source/tests/golden/image/files"
mkdir -p "$work/set/a" "$work/set/b" "$work/set/c"
cp "$files"/{cmyk,gray,progressive_422,baseline_420}.jpg "$work/set/a"
cp "$files"/{rgb8,gray16_adam7}.png "$work/set/b"

expect 0 data info "$work/set"
says "dataset/image_folder" "samples      6" "3, of 0 (c) to 4 samples (a); 1 of them empty" \
    "6 of 6 samples, headers alone" "66.67 % JPEG" "33.33 % PNG" "16.67 % CMYK" "none of those looked at"
expect 0 data info "$work/set" --json
value plugin image_folder
value samples 6
value 'classes.#' 3
value classes.0.name a
value classes.0.samples 4
value empty_classes 1
value files.jpeg 4
value files.png 2
value files.gray 2
value files.progressive 2
value files.deep 1
value files.raw 0
value looked_at.samples 6
value broken.samples 0
print=$("$json" fingerprint <"$work/out")

# The same data by an experiment, its options, and the fingerprint that a run stores.
printf '[data]\nuse = "image_folder"\npath = "%s"\n' "$work/set" >"$work/exp.toml"
expect 0 data info "$work/exp.toml" --json
value fingerprint "$print"
expect 0 data info "$work/exp.toml" data.labels=false --json
value 'classes.#' 0
expect 0 data info "$work/set" --use image_folder labels=false
says "none, so no labels"

# A file that ends early shows at once, other damage behind the header when pixels are decoded.
head -c 300 "$files/baseline_420.jpg" >"$work/set/a/cut.jpg"
expect 1 data info "$work/set"
says "1 of those looked at" "a/cut.jpg: " "ends too early"
rm "$work/set/a/cut.jpg"
bytes=$(wc -c <"$files/rgb8.png")
{
    head -c $((bytes - 40)) "$files/rgb8.png"
    head -c 20 /dev/zero
    tail -c 20 "$files/rgb8.png"
} >"$work/set/b/flipped.png"
expect 0 data info "$work/set" --json
value broken.samples 0
expect 1 data info "$work/set" --json --full
value broken.samples 1
value broken.listed.0.name b/flipped.png
value broken.listed.0.index 4
value looked_at.pixels true
value looked_at.samples 7

# Lists of what is broken end.
for i in $(seq 30); do echo "no picture" >"$work/set/c/$i.jpg"; done
expect 1 data info "$work/set"
says "30 of those looked at; the first of them:" "c/10.jpg: neither a JPEG nor a PNG"
[ "$(grep -c '^  c/' "$work/out")" = 20 ] || complain "$call: does not stop at 20 names"

expect 0 data info "$source/tests/data/cifar10" split=test --json
value plugin cifar10
value files.raw "$("$json" samples <"$work/out")"
value width.most 32.0

expect 2 data info
expect 2 data inform "$work/set"
errs_once 'there is no "wisp data inform"; the nearest known is "info"'
expect 2 data info "$work/none"
errs_once "there is no file or folder"
mkdir "$work/nothing"
expect 2 data info "$work/nothing"
errs_once "asked: " "image_folder" "cannot tell by a path: synthetic" "--use NAME"
expect 2 data info "$work/set" --use image_foldr
errs "image_folder"
finish
