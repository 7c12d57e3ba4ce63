#!/usr/bin/env bash
# api.sh [check]: writes api.md and api/, the public headers as pages, beside this script. `check`
# compares instead, and fails when they differ.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
include=$here/../../core/include/wisp
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
mkdir "$made/api" "$made/names"

# Every header has its topic: one that is missing here ends this script.
topics="What every plugin needs: abi status options host
Writing a method: sdk method nn ops tensor rng
Other kinds of plugins: sampler backbone dataset task backend comm
Shared by samplers and data sets: crops subset order cache_file packed hash64
For backends: kernels backend_sdk pixel_math
Programs that embed wisp: runtime"

for file in "$include"/*.h; do
    name=$(basename "$file" .h)
    grep -qw -- "$name" <<<"$topics" || { echo "docs/reference/api.sh: no topic has $name.h"; exit 1; }
    : >"$made/names/$name"
    awk -v header="$name.h" -v names="$made/names/$name" -f "$here/api.awk" "$file" >"$made/api/$name.h.md"
done

# What a header is for: its first paragraph.
purpose() {
    awk '/^ \*($|\/)/ { exit }
         { sub(/^[^-]* - /, ""); sub(/^ \* /, ""); done = sub(/ *\*\/$/, "")
           text = text (NR > 1 ? " " : "") $0 }
         done { exit }
         END { print text }' "$include/$1.h"
}
# Its names by section.
names() {
    awk -F'\t' '
    function end_line() {
        if (text != "")
            print text
    }
    $1 != section || NR == 1 {
        end_line()
        section = $1
        text = $1 == "" ? "-" : "- *" $1 "*:"
        comma = ""
    }
    {
        word = comma " `" $2 "`"
        if (length(text word) > 110) {
            print text (comma == "" ? "" : ",")
            text = "  `" $2 "`"
        } else
            text = text word
        comma = ","
    }
    END { end_line() }' "$made/names/$1"
}
{
    echo "# The C interface"
    echo
    echo "Made by \`docs/reference/api.sh\` from the public headers; not edited by hand. Plugins may include any of"
    echo "them but \`runtime.h\`, as \`<wisp/sdk.h>\`. [abi.md](../abi.md) has the rules that they follow,"
    echo "[first-method.md](../first-method.md) a method from its first line on, [plugins.md](plugins.md) the options"
    echo "of every plugin."
    while IFS=: read -r topic headers; do
        printf '\n## %s\n\n| header | for |\n| --- | --- |\n' "$topic"
        for name in $headers; do
            echo "| [$name.h](api/$name.h.md) | $(purpose "$name") |"
        done
        for name in $headers; do
            [ -s "$made/names/$name" ] || continue
            printf '\n### [%s.h](api/%s.h.md)\n\n' "$name" "$name"
            names "$name"
        done
    done <<<"$topics"
} >"$made/api.md"
rm -r "$made/names"

if [ "${1:-}" != check ]; then
    rm -rf "$here/api"
    cp -r "$made/api" "$made/api.md" "$here/"
elif ! diff -ru "$here/api" "$made/api" || ! diff -u "$here/api.md" "$made/api.md"; then
    echo "docs/reference/api.md or a page below it differs from the headers: run docs/reference/api.sh"
    exit 1
fi
