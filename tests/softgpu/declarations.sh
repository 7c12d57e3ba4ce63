#!/usr/bin/env bash
# declarations.sh API CC [INCLUDE]: do our own declarations of NVIDIA's interfaces say what the
# toolkit's headers say? One program prints every number, the size of every type and the library's
# name of every function that API declares, once from our declarations and once from the headers in
# INCLUDE; and our prototypes are compiled behind the toolkit's, where the compiler compares them.
# Leaves with 77 where there is no toolkit.
set -euo pipefail
api=$1 cc=$2 include=${3:-}
if [ ! -f "$include/cuda.h" ]; then
    echo "skipped: no toolkit's headers (looked for cuda.h in '$include')"
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
own=("$api/driver.h" "$api/cudnn_values.h" "$api/cublaslt_values.h")

numbers=$(sed -nE 's/^ +((CU|CUDA|CUDNN|CUBLAS|CUBLASLT)_\w+) = .*/\1/p
    s/^#define ((CU|CUDNN)_\w+) [0-9].*/\1/p' "${own[@]}")
types=$(sed -nE 's/^\} (\w+);$/\1/p; s/^typedef struct \w+ \*(\w+);$/\1/p
    s/^typedef [a-z ]+ \*?(CU\w+|cudnn\w+|cublas\w+);$/\1/p' "${own[@]}" | sort -u)
functions=$(sed -nE 's/^CUresult (cu\w+)\(.*/\1/p' "$api/driver.h")
# The driver's prototypes lie in the half of driver.h that the toolkit replaces.
awk '/^CUresult cu/ { on = 1 } on { print } /;$/ { on = 0 }' "$api/driver.h" >"$work/prototypes.h"

{
    echo '#include <stddef.h>'
    echo '#include <stdio.h>'
    echo '#include "driver.h"'
    echo '#include "cudnn.h"'
    echo '#include "cublaslt.h"'
    echo '#ifndef WISP_CUDA_OWN_DECLARATIONS'
    echo '#include "prototypes.h"'
    echo '#endif'
    echo '#define TEXT(x) #x'
    echo '#define NAME(x) TEXT(x)'
    echo 'int main(void) {'
    for name in $numbers; do echo "printf(\"$name %lld\\n\", (long long)$name);"; done
    for name in $types; do echo "printf(\"sizeof $name %zu\\n\", sizeof($name));"; done
    for name in $functions; do echo "printf(\"$name %s\\n\", NAME($name));"; done
    for member in algo workspaceSize state wavesCount reserved; do
        echo "printf(\"result $member %zu\\n\", offsetof(cublasLtMatmulHeuristicResult_t, $member));"
    done
    echo 'return 0; }'
} >"$work/print.c"

flags=(-std=c11 -D_GNU_SOURCE -Wall -Werror -I"$api" -I"$work")
"$cc" "${flags[@]}" -DWISP_CUDA_OWN_DECLARATIONS -o "$work/ours" "$work/print.c"
"$cc" "${flags[@]}" -isystem "$include" -o "$work/theirs" "$work/print.c"
"$work/ours" >"$work/ours.txt"
"$work/theirs" >"$work/theirs.txt"

# Which headers were there at all? A comparison of our declarations with themselves says nothing.
for header in cudnn cublaslt; do
    macro=WISP_CUDA_${header^^}_OF_TOOLKIT
    if printf '#include "%s.h"\n#ifndef %s\n#error\n#endif\n' "$header" "$macro" |
        "$cc" "${flags[@]}" -isystem "$include" -fsyntax-only -x c - 2>/dev/null; then
        echo "$header.h: compared with the toolkit's"
    else
        echo "$header.h: not compared, the toolkit's is not there or too old"
    fi
done
count=$(wc -l <"$work/ours.txt")
[ "$count" -gt 300 ] || { echo "only $count declarations found"; exit 1; }
diff "$work/ours.txt" "$work/theirs.txt" || { echo "ours (<) and the toolkit's (>) differ"; exit 1; }
echo "driver.h: compared with the toolkit's; $count declarations agree"
