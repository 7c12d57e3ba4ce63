#!/usr/bin/env bash
# wisp views: the table and its JSON agree, several samplers and data by their path, a sheet that is there whole or not
# at all, and what is refused.
. "$(dirname "$0")/expect.bash"

cat >"$work/baseline.toml" <<'END'
[run]
seed = 4
[data]
use = "synthetic"
count = 40
size = 48
[sampler]
use = "multicrop"
global = { count = 2, size = 32, scale = [0.14, 1.0] }
local = { count = 3, size = 12, scale = [0.05, 0.14] }
END
cat >"$work/sslight.toml" <<'END'
extends = "baseline.toml"
[sampler]
global = { scale = [0.3, 1.0] }
local = { size = 16, scale = [0.05, 0.3] }
END

is_png() {
    [ "$(head -c 8 "$1" | od -An -tx1 | tr -d ' ')" = 89504e470d0a1a0a ] && tail -c 12 "$1" | grep -qa IEND ||
        complain "$call: $1 is no whole PNG file"
}

# --- numbers ---
expect 0 views "$work/baseline.toml" --samples 500
says "multicrop, 2 global x 32 x 32 px + 3 local x 12 x 12 px" "500 plans each, for 40 images, seed 4" \
    "PS_l / PS_g, by area" "CNN SSLight" "155,648 px" "198,656 px"
cp "$work/out" "$work/table"
expect 0 views "$work/baseline.toml" --samples 500
cmp -s "$work/out" "$work/table" || complain "$call: the same call prints something else"
expect 0 views "$work/baseline.toml" --samples 500 --json
value samplers.0.plans 500
value samplers.0.images 40
value samplers.0.seed 4
value samplers.0.sampler multicrop
value samplers.0.views 5
value samplers.0.means.pixels 2480.0
value samplers.0.groups.1.role local
value published.1.name "CNN SSLight"
value sheet null
for row in "pixel_ratio_area:PS_l / PS_g, by area:1:" "overlap:overlap, local in global:100: %" \
    "local_crop_scale:crop scale, local:100: %" "local_up_sampled:up-sampled, local:100: %"; do
    IFS=: read -r key words times unit <<<"$row"
    wanted=$("$json" "samplers.0.means.$key" <"$work/out" | awk -v t="$times" -v u="$unit" \
        '{ printf t == 1 ? "%.2f%s" : "%.1f%s", $1 * t, u }')
    printed=$(awk -v w="$words" 'index($0, w) == 1' "$work/table" | cut -c31-45 | sed 's/^ *//')
    [ "$printed" = "$wanted" ] || complain "$call: \"$words\" is \"$printed\" in the table, \"$wanted\" in JSON"
done

# --- what could be a key before the "=" is one; anything else is a file ---
cp "$work/baseline.toml" "$work/k+n=3.toml"
cd "$work" || exit 1
expect 0 views k+n=3.toml "sampler.local.count = 2" --samples 50 --json
value samplers.0.name k+n=3.toml
value samplers.0.groups.1.count 2
cd - >/dev/null || exit 1

# --- several samplers ---
expect 0 views "$work/baseline.toml" "$work/sslight.toml" sampler.local.count=4 --samples 50 --json
value samplers.1.name "$work/sslight.toml"
value samplers.1.groups.1.width 16
value samplers.0.groups.1.count 4
value samplers.1.groups.1.count 4
expect 0 views "$work/baseline.toml" run.seed=9 "$work/sslight.toml" --samples 50
says "A  $work/baseline.toml" "B  $work/sslight.toml" "seed 9"

# --- a sheet ---
expect 0 views "$work/baseline.toml" "$work/sslight.toml" -o "$work/views.png" --images 2 --samples 50
says "sheet: $work/views.png"
is_png "$work/views.png"
cp "$work/views.png" "$work/first.png"
expect 0 views "$work/baseline.toml" "$work/sslight.toml" -o "$work/views.png" --images 2 --samples 50 --json
value sheet "$work/views.png"
cmp -s "$work/views.png" "$work/first.png" || complain "$call: the same call draws something else"

# --- letters without a folder for fontconfig to write in ---
HOME=/dev/null/no XDG_CACHE_HOME=/dev/null/no expect 0 views "$work/baseline.toml" -o "$work/home.png" --samples 5 -q
[ -s "$work/err" ] && complain "$call: complains where nothing can be cached"

# --- data by their path; one picture of three is broken ---
mkdir "$work/photos" "$work/broken" "$work/none"
cp "$source"/tests/golden/image/files/gray.jpg "$source"/tests/golden/image/files/gray_progressive.jpg "$work/photos"
head -c 200 "$source/tests/golden/image/files/gray.jpg" >"$work/photos/cut.jpg"
cp "$work/photos/cut.jpg" "$work/broken/cut.jpg"
expect 0 views "$work/photos" -o "$work/photos.png" --samples 20 sampler.global.size=32
says "$work/photos: multicrop, 2 global x 32 x 32 px"
is_png "$work/photos.png"
expect 0 views "$work/photos" --use image_folder --samples 20 --json
expect 1 views "$work/broken" -o "$work/nothing.png"
errs "can be"
[ -e "$work/nothing.png" ] && complain "$call: leaves a file behind"

# --- what is refused ---
cp "$work/first.png" "$work/old.png"
expect 2 views "$work/none" -o "$work/old.png"
expect 2 views "$work/baseline.toml" -o "$work/no folder/views.png" --samples 5
errs_once "no folder"
mkdir "$work/folder.png"
expect 1 views "$work/baseline.toml" -o "$work/folder.png" --samples 5
expect 2 views
expect 2 views run.seed=3
errs_once "which experiment"
expect 2 views "$work/nothing.toml"
expect 2 views "$work/baseline.toml" --images 0
expect 2 views "$work/baseline.toml" --images 65
expect 2 views "$work/baseline.toml" --samples x
expect 2 views "$work/baseline.toml" sampler.locl.count=3 -o "$work/old.png"
errs "local"
expect 2 views $(for i in 1 2 3 4 5 6 7 8 9; do echo "$work/baseline.toml"; done)
errs_once "9 experiments"
cmp -s "$work/first.png" "$work/old.png" || complain "a failure changed an old file"
compgen -G "$work/*.tmp*" >/dev/null && complain "temporary files are left behind"
finish
