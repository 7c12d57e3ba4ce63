#!/usr/bin/env bash
# The example plugin against an installed tree: built by CMake and by make, judged, and trained for
# some steps on generated images; example_cifar10.sh trains it on real ones.
. "$(dirname "$0")/expect.bash"
call="cmake --install"
cmake --install "$build" --prefix "$work/tree" >"$work/out" 2>"$work/err" || complain "$call fails"
wisp="$work/tree/bin/wisp"
cp -r "$source/examples/plugin" "$work/example"
cd "$work/example" || exit 1

call="the example by CMake"
cmake -S . -B build -DCMAKE_PREFIX_PATH="$work/tree" >"$work/out" 2>"$work/err" &&
    cmake --build build >>"$work/out" 2>>"$work/err" || complain "$call fails"
call="the example by make"
PKG_CONFIG_PATH=$(dirname "$(find "$work/tree" -name wisp.pc)") \
    make CFLAGS=-Werror >"$work/out" 2>"$work/err" || complain "$call fails"

# Generated images need no path.
sed '/^path/d; s/^use = "cifar10"/use = "synthetic"/' simsiam_cifar10.toml >generated.toml
small=(run.batch=16 run.steps=32 run.epochs=4 run.log_seconds=0 "run.out=$work/runs"
    backbone.depth=10 backbone.width=0.125 method.dim=64 method.hidden_dim=16
    optimizer.lr_per_256=3.0 input.eval_batch=32 task.0.epochs=1)
export OMP_WAIT_POLICY=passive
for folder in build .; do
    expect 0 inspect method/simsiam --plugin-path $folder
    says "method/simsiam" "Chen and He" "hidden_dim"
    name=simsiam-$(basename "$(realpath $folder)")
    expect 0 run generated.toml --plugin-path $folder "${small[@]}" "run.name=$name" \
        data.count=128 test.count=64
    [ -s "$work/runs/$name/0/checkpoints/last.safetensors" ] || complain "$call: no checkpoint"
    cat "$work/out" "$work/err" | sed -n 's/.*loss \(-\?[0-9.]*\) .*/\1/p' >"$work/$name.losses"
done
call="two builds of one plugin"
cmp -s "$work/simsiam-build.losses" "$work/simsiam-example.losses" || complain "$call: differ"
# Minus a cosine lies in [-1, 1] and begins near 0; training takes it well below.
call="32 steps"
awk '$1 < -1 || $1 > 1 { bad = 1 } NR == 1 { first = $1 } NR > 24 { late += $1 / 8 }
    END { exit bad || NR != 32 || first < -0.1 || late > -0.2 }' "$work/simsiam-build.losses" ||
    complain "$call: implausible: $(tr '\n' ' ' <"$work/simsiam-build.losses")"

# What it cannot work with is refused by name.
expect 2 run generated.toml --plugin-path build "${small[@]}" sampler.local.count=2
errs "simsiam" "local"

finish
