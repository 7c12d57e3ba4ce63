#!/usr/bin/env bash
# wisp pack: what it keeps and makes smaller, the same bytes for any number of threads, nothing half
# done when it fails or is stopped, and a run on the file that equals the one on the folder.
. "$(dirname "$0")/expect.bash"
export OMP_WAIT_POLICY=passive
pictures=$source/tests/data/image_folder
mkdir "$work/files" # all that is packed, and nothing else, goes here
file=$work/files/a.wisp

same() { cmp -s "$1" "$2" || complain "$call: $1 and $2 differ"; }
# only NAME...: nothing else lies in the folder of packed files.
only() {
    [ "$(ls -A "$work/files" | tr '\n' ' ')" = "${*:+$* }" ] ||
        complain "$call: leaves $(ls -A "$work/files" | tr '\n' ' ')"
}

# --- what is packed ---
expect 0 pack "$pictures" -o "$file" --jobs 1 --json
value samples 24
value classes 2
value made_smaller 0
value left_out 0
value bytes "$(stat -c %s "$file")"
print=$("$json" fingerprint <"$work/out")
expect 0 pack "$pictures" --output "$work/files/b.wisp" --jobs 2
says "24 samples, 2 classes" "fingerprint $print"
same "$file" "$work/files/b.wisp"
expect 0 pack "$file" -o "$work/files/b.wisp" # a packed one, over one that is there
same "$file" "$work/files/b.wisp"
expect 0 pack "$file" -o "$work/files/b.wisp" --short-side 12 --quality 80 --jobs 2
says "24 made smaller"
expect 0 pack "$pictures" -o "$work/files/c.wisp" --short-side 12 --quality 80 --jobs 1
same "$work/files/b.wisp" "$work/files/c.wisp"
expect 0 pack "$file" -o "$work/files/c.wisp" --short-side 12
cmp -s "$work/files/b.wisp" "$work/files/c.wisp" && complain "$call: --quality changes nothing"
expect 0 pack "$pictures" -o "$work/files/c.wisp" --limit 5 labels=false --json
value samples 5
value classes 0
expect 0 pack "$source/tests/data/cifar10" -o "$work/files/c.wisp" split=test --json
value samples 4
value made_smaller 0
expect 0 pack "$source/plugins/datasets/cifar/test.toml" -o "$work/files/c.wisp" data.split=test \
    "data.path=$source/tests/data/cifar10"
says "4 samples, 10 classes"
expect 0 pack "$pictures" --use image_folder -o "$work/files/c.wisp"
same "$file" "$work/files/c.wisp"
rm "$work/files/b.wisp" "$work/files/c.wisp"
only a.wisp

# --- wrong calls ---
cp "$file" "$work/before"
expect 2 pack "$pictures"
errs_once "-o is missing"
expect 2 pack "$pictures" -o "$file" --quality 90
errs_once "--quality without --short-side"
for wrong in "--jobs 0" "--jobs 2x" "--short-side -1" "--short-side 65501" "--quality 101" "--limit 0" "--jobs 1.5"; do
    expect 2 pack "$pictures" -o "$file" --short-side 9 $wrong
    errs_once "${wrong% *} ${wrong#* }: it must be a whole number"
done
expect 2 pack "$work/gone" -o "$file"
expect 2 pack "$pictures" -o "$work/files"
errs "no ordinary file"
expect 2 pack "$pictures" -o "$file" lables=false
errs "lables" "labels"
expect 1 pack "$pictures" -o "$work/no/folder.wisp"
errs "cannot create a file beside it"
same "$file" "$work/before"
only a.wisp

# --- broken samples ---
cp -r "$pictures" "$work/pictures"
head -c 300 "$pictures/disc/00.jpg" >"$work/pictures/disc/cut.jpg"
expect 1 pack "$work/pictures" -o "$file"
errs '"disc/cut.jpg" is broken' "--skip-broken"
same "$file" "$work/before"
expect 0 pack "$work/pictures" -o "$work/files/b.wisp" --skip-broken
errs 'left out: "disc/cut.jpg"'
says "24 samples" "1 broken ones left out"
same "$file" "$work/files/b.wisp"
expect 0 pack "$work/pictures" -o "$work/files/b.wisp" --unchecked
says "25 samples"
rm "$work/files/b.wisp"

# --- nothing half done ---
cat >"$work/large.toml" <<'TOML'
[data]
use = "synthetic"
count = 10000000
size = 64
TOML
for signal in INT TERM; do
    (
        trap - INT
        exec "$wisp" pack "$work/large.toml" -o "$file" --jobs 2 >"$work/out" 2>"$work/err"
    ) &
    pid=$!
    call="wisp pack, SIG$signal"
    for _ in $(seq 200); do # until there is something to lose
        written=$(awk '/^write_bytes|^wchar/ { print $2; exit }' "/proc/$pid/io" 2>/dev/null)
        [ "${written:-0}" -gt 3000000 ] && break
        sleep 0.05
    done
    kill -$signal $pid
    code=0
    wait $pid || code=$?
    [ $code = 1 ] || complain "$call: exit code $code, not 1"
    errs "wisp: stopped; nothing was written"
    same "$file" "$work/before"
    only a.wisp
done
code=0
call="wisp pack, a full disk"
(ulimit -f 2000 && exec "$wisp" pack "$work/large.toml" -o "$file") >"$work/out" 2>"$work/err" || code=$?
[ $code = 1 ] || complain "$call: exit code $code, not 1"
errs "a.wisp: cannot write: File too large"
same "$file" "$work/before"
only a.wisp

# --- a run on it ---
for use in image_folder packed; do
    [ $use = packed ] && path=$file || path=$pictures
    expect 0 run "$source/configs/smoke/base.toml" "run.out=$work/$use" run.metric_steps=1 run.epochs=2 \
        "data={ use = \"$use\", path = \"$path\" }" "test={ use = \"$use\", path = \"$path\" }"
    grep -o '"loss": [^,}]*\|"value": [^,}]*' "$work/$use/smoke/0/metrics.jsonl" >"$work/$use.losses"
done
[ "$(grep -c loss "$work/packed.losses")" -ge 2 ] || complain "$call: no losses to compare"
same "$work/image_folder.losses" "$work/packed.losses"

# A terminal sees a line that is written over.
if script -qec true /dev/null </dev/null >/dev/null 2>&1; then # not without pseudo-terminals
    call="wisp pack in a terminal"
    script -qec "'$wisp' pack '$work/large.toml' -o '$file' --limit 20000 --jobs 1" /dev/null \
        </dev/null >"$work/out" 2>"$work/err" || complain "$call: fails"
    grep -q $'^\r\033\\[Kpacked [0-9]*/20000  [0-9.]* MB  [0-9.]* samples/s  ETA ' "$work/out" ||
        complain "$call: shows no progress"
    grep -q '^.*a.wisp: 20000 samples' "$work/out" || complain "$call: the result has no line of its own"
fi
finish
