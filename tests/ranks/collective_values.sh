#!/usr/bin/env bash
# collective_values.sh BUILD_FOLDER: values and gradients of collectives on two and three ranks.
. "$(dirname "$0")/rank_kit.sh" "$1"
for n in 2 3; do
    mpirun --oversubscribe --bind-to none -np $n "$build/tests/ranks/collective_calls" >out 2>err ||
        fail "collectives on $n ranks"
    grep '^[0-9]*%' out
done
