#!/usr/bin/env bash
# snippets.sh SOURCE_DIR COMPILER: C in the documents is real. A block that begins with a comment
# that is a path stands in that file, line for line; every other block compiles.
set -euo pipefail
cd "$1"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
for page in README.md CONTRIBUTING.md docs/*.md; do
    rm -f "$work"/*
    awk -v folder="$work" '
        /^ *```c$/ { file = folder "/" ++n ".c"; next }
        /^ *```/   { if (file) close(file); file = ""; next }
        file       { print > file }' "$page"
    for block in "$work"/*.c; do
        [ -e "$block" ] || continue
        source=$(sed -n '1s,^/\* \([a-z_/]*\.[ch]\) \*/$,\1,p' "$block")
        if [ -z "$source" ]; then
            "$2" -std=c11 -fsyntax-only -Wall -Wno-unused -Werror -Icore/include "$block" || {
                echo "a block of $page does not compile"
                failed=1
            }
        # Both as one line each: is the block, without its first line, part of the file?
        elif ! tr '\n' '\001' <"$source" | grep -qF -- "$(sed 1d "$block" | tr '\n' '\001')"; then
            echo "$page shows what $source does not say"
            failed=1
        fi
    done
done
exit $failed
