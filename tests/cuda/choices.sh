#!/usr/bin/env bash
# choices.sh BUILD_FOLDER: run.autotune on the cuda backend keeps what it found, a later run takes it and
# has the same bits, and a file that is no good, or nowhere to put one, is said and done without. Then
# precision tf32: rounded products on the device, f32 where there are none.
. "$(dirname "$0")/cuda_kit.sh" "$1"
write_all_tiny
export XDG_CACHE_HOME=$PWD/cache

tuned() {
    local out=$1
    shift
    run 0 run dino_vit.toml run.device=cuda run.precision=bf16 run.autotune=true run.steps=2 run.out="$out" "$@"
}

tuned first
file=$(echo cache/wisp/cuda-*.txt)
[ -f "$file" ] || fail "no file of choices"
[ "$(wc -l <"$file")" -gt 10 ] || fail "few choices in $file: $(wc -l <"$file")"
cp "$file" kept
tuned second
cmp "$file" kept || fail "a second run changes the choices"
same_runs first/smoke/0 second/smoke/0

echo "0123456789abcdef one" >>"$file"
tuned third
says "this file is damaged"
! grep -q one "$file" || fail "the damaged line is still there"
[ "$(cut -d' ' -f1 "$file" | sort)" = "$(cut -d' ' -f1 kept | sort)" ] || fail "other keys than before"
head -c 200000 /dev/urandom >"$file"
tuned fourth
says "this file is damaged"
[ "$(wc -l <"$file")" = "$(wc -l <kept)" ] || fail "the file is not whole again"
XDG_CACHE_HOME=/dev/null tuned fifth
XDG_CACHE_HOME='' HOME='' tuned sixth

run 0 run dino_vit.toml run.device=cuda run.precision=f32 run.steps=2 run.out=plain
run 0 run dino_vit.toml run.device=cuda run.precision=tf32 run.steps=2 run.out=rounded
loss() {
    sed -n '/"kind": "train"/s/.*"loss": \([^,]*\),.*/\1/p' "$1/smoke/0/metrics.jsonl" | head -n 1
}
awk -v a="$(loss plain)" -v b="$(loss rounded)" 'BEGIN {
    d = (a - b) / a; d = d < 0 ? -d : d
    printf "f32 %s, tf32 %s: %.1e apart\n", a, b, d
    exit !(d > 1e-7 && d < 1e-2) }' || fail "tf32 is not what it should be"

unset WISP_PLUGIN_PATH
run 0 run dino_vit.toml run.device=cpu run.precision=f32 run.steps=2 run.out=cpu
run 0 run dino_vit.toml run.device=cpu run.precision=tf32 run.steps=2 run.out=cpu_tf32
says "computes in f32"
[ "$(loss cpu)" = "$(loss cpu_tf32)" ] || fail "tf32 on the CPU is not f32"
