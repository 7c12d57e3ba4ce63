#!/usr/bin/env bash
# sweep.sh BUILD_FOLDER: every combination is run with every seed, a longer list adds to what is there,
# and the table's means are those of the runs' metrics.
. "$(dirname "$0")/run_kit.sh" "$1"
json=$build/tests/cli/json_value

write_smoke exp <<END
END
run 0 sweep exp.toml optimizer.lr=1e-3,2e-2 'sampler.local.scale=[0.05, 0.3],[0.1,0.4]' --seeds 2 \
    --jobs 2 --out made --name grid
grep -q "8 runs (4 arms, 2 seeds)" out || fail "there are other runs"
for text in "optimizer.lr: 1e-3, 2e-2" "sampler.local.scale: [0.05, 0.3], [0.1,0.4]" \
    "k_nn_top_1 (task)" "highest mean"; do
    grep -qF -- "$text" out || fail "this is not printed: $text"
done
[ "$(ls -d made/grid/*/0 | wc -l)" = 4 ] || fail "there are other cells"

# The mean of a cell, once more.
value() {
    "$json" "$1" <made/grid/sweep.json
}
for cell in 0 1 2 3; do
    name=$(value cells.$cell.name)
    cat made/grid/"$name"/[01]/metrics.jsonl | grep '"kind": "task".*"k_nn_top_1"' |
        sed 's/.*"k_nn_top_1": \([0-9.]*\).*/\1/' |
        awk -v mean="$(value metrics.0.cells.$cell.mean)" -v sd="$(value metrics.0.cells.$cell.sd)" '
            { sum += $1; squares += $1 * $1; n++ }
            END { m = sum / n; s = sqrt((squares - n * m * m) / (n - 1))
                  exit !(n == 2 && m - mean < 1e-9 && mean - m < 1e-9 && s - sd < 1e-6 && sd - s < 1e-6) }' ||
        fail "the mean or the spread of $name is not that of its runs"
    grep -q "^lr = $(value cells.$cell.values.0 | sed 's/1e-3/0.001/; s/2e-2/0.02/')" \
        "made/grid/$name/0/config.toml" || fail "$name was run with another rate"
done
run 0 sweep exp.toml optimizer.lr=1e-3,5e-3,2e-2 'sampler.local.scale=[0.05, 0.3],[0.1,0.4]' --seeds 1 \
    --jobs 2 --out made --name grid --json
[ "$(grep -c '^resuming\|^run folder' made/grid/logs/*-0.log | grep -cv ':1$')" = 0 ] ||
    fail "a cell was run again"
cmp out made/grid/sweep.json >&2 || fail "--json is not sweep.json"
[ "$("$json" complete <out)" = true ] && [ "$("$json" cells.5.values.0 <out)" = 2e-2 ] ||
    fail "the larger grid is not complete"
# Cells that join take the threads of those that are there, wherever they stand in the list.
grep -v '^threads' exp.toml >free.toml
run 0 sweep free.toml optimizer.lr=2e-3,3e-3 run.steps=1 run.threads=3 --seeds 1 --out made --name joined
run 0 sweep free.toml optimizer.lr=1e-3,2e-3 run.steps=1 --seeds 1 --jobs 2 --out made --name joined
[ "$(sed -n 's/^threads = //p' made/joined/lr=*/0/config.toml | tr '\n' ' ')" = "3 3 3 " ] ||
    fail "cells that join earlier ones have other threads"
run 0 sweep exp.toml optimizer.lr=1e-3,3e-3 --out made --name other --emit slurm
[ "$(grep -c 'exec "$wisp"' made/other/slurm.sh)" = 6 ] && bash -n made/other/slurm.sh ||
    fail "the job array has other tasks"
# What failed is neither the best nor like it.
run 1 sweep exp.toml optimizer.use=sgd optimizer.lr=1e-3,1e4 optimizer.weight_decay=100 run.steps=4 --seeds 2 \
    --jobs 2 --out made --name failed
[ "$("$json" metrics.0.cells.1.n <made/failed/sweep.json)" = 0 ] || fail "the training does not fail"
[ "$("$json" metrics.0.cells.1.with_best <made/failed/sweep.json)" = false ] ||
    fail "a cell that failed is not told apart from the best"
grep -q "lr=1e-3 alone has a value" out || fail "it counts a cell that failed"
run 2 sweep exp.toml optimizer.lr=1e-3,x --out made --name wrong
says "arm lr=x: "
[ ! -e made/wrong ] || fail "a wrong call leaves a folder"
echo done
