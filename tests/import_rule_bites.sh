#!/usr/bin/env bash
# import_rule_bites.sh: does import_rule.sh see what it is there to see?
set -euo pipefail
rule=$(cd "$(dirname "$0")" && pwd)/import_rule.sh
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree"/core/{base,nn,cli} "$tree"/plugins/methods/x "$tree"/sdk/templates/method "$tree"/docs
sed -n '/^wisp_room(/p' "$(dirname "$rule")/../CMakeLists.txt" >"$tree/CMakeLists.txt"
failed=0

# expect WORDS FILE LINE: with LINE in FILE the rule complains about FILE in these WORDS.
expect() {
    echo "$3" >"$tree/$2"
    if output=$("$rule" "$tree") || ! grep -qF "$2" <<<"$output" || ! grep -qF "$1" <<<"$output"; then
        echo "not seen: $3 in $2 ($1); the rule said: $output"
        failed=1
    fi
    rm "$tree/$2"
}

output=$("$rule" "$tree") || { echo "a clean tree is refused: $output"; failed=1; }
expect "core/base may not include nn" core/base/a.c '#include "nn/model.h"'
expect "core/nn may not include loader" core/nn/a.c '#  include "loader/registry.h"'
expect "core/nn may not include tests" core/nn/a.h '#include "tests/a.h"'
expect "nothing includes tests" core/nn/a.h '#include "tests/a.h"'
expect "only core/loader opens" core/nn/a.c '#include <dlfcn.h>'
expect "core/cli uses wisp/runtime.h only" core/cli/a.c '#include "wisp/abi.h"'
expect "plugins include wisp/" plugins/methods/x/x.c '#include "base/log.h"'
expect "plugins include wisp/" plugins/methods/x/x.c '#include <wisp/runtime.h>'
expect "not a header that plugins may use" plugins/methods/x/x.c '#include <pthread.h>'
expect "only plugins/backends/cpu uses OpenMP" plugins/methods/x/x.c '#pragma omp parallel for'
expect "banned in plugins" plugins/methods/x/x.c 'int a(void) { return atoi("1"); }'
expect "banned in plugins" plugins/methods/x/x.c '/* b */ void a(void) { exit(1); } /* c'
expect "plugins include wisp/" sdk/templates/method/x.c '#include "nn/model.h"'
expect "banned in the host" core/nn/a.c 'void a(void) { abort(); }'
expect "the heap is core/base/memory.h" core/nn/a.c 'void *a = malloc(1);'
expect "a name that says nothing" core/nn/nn_utils.c ''
touch "$tree/core/base/same.c"
expect "the name is taken" core/nn/same.c ''
echo 'wisp_room(base USES nn)' >>"$tree/CMakeLists.txt"
expect "differ" CMakeLists.txt 'wisp_room(base USES nn)'
exit $failed
