#!/usr/bin/env bash
# nccl_declarations.sh BUILD_FOLDER: our declarations of NCCL against nccl.h, where it is: values, the
# size of an identifier, and the prototype of every function, which the compiler compares.
source_folder=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ours=$source_folder/plugins/comms/nccl/api/nccl_calls.h
include=
for folder in /usr/local/cuda/include /usr/local/include /usr/include; do
    [ -f "$folder/nccl.h" ] && printf '#include <nccl.h>\n' |
        cc -fsyntax-only -x c -I "$folder" -I /usr/local/cuda/include - 2>/dev/null &&
        include=$folder && break
done
[ -n "$include" ] || { echo "SKIPPED: there is no nccl.h"; exit 77; }

names=$(grep -o '\bnccl[A-Z][A-Za-z0-9]* = [0-9]*' "$ours" | cut -d' ' -f1)
{
    echo '#include <stdio.h>'
    echo '#include HEADER'
    echo 'int main(void) {'
    for name in $names; do echo "printf(\"$name %d\\n\", (int)$name);"; done
    echo 'printf("%zu %d\n", sizeof(ncclUniqueId), NCCL_UNIQUE_ID_BYTES); return 0; }'
} >"$work/values.c"
cc -DHEADER="\"$ours\"" -o "$work/ours" "$work/values.c" &&
    cc -DHEADER='<nccl.h>' -I "$include" -I /usr/local/cuda/include -o "$work/theirs" "$work/values.c" ||
    exit 1
diff <("$work/ours") <("$work/theirs") || { echo "FAILED: values differ"; exit 1; }

{
    echo '#include <nccl.h>'
    sed -n '/define NCCL_LIBRARY_CALLS/,/^$/p' "$ours"
    echo '#define CUstream cudaStream_t'
    echo '#define COMPARE(member, symbol, result, parameters) result symbol parameters;'
    echo 'NCCL_LIBRARY_CALLS(COMPARE)'
} >"$work/prototypes.c"
cc -fsyntax-only -I "$include" -I /usr/local/cuda/include "$work/prototypes.c" ||
    { echo "FAILED: prototypes differ"; exit 1; }
echo "$(echo "$names" | wc -l) values and $(grep -c 'X([A-Z].*nccl' "$ours") functions are those of $include/nccl.h"
