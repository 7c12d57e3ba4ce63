#!/usr/bin/env bash
# links.sh SOURCE_DIR [installed]: what the documents point at is there. Checked are links to files, and
# the paths below known folders that stand in `code`; not these where the documents are installed.
set -euo pipefail
cd "$1"
failed=0
for page in *.md docs/*.md docs/*/*.md docs/*/*/*.md configs/*.md; do
    folder=$(dirname "$page")
    links=$(grep -oE '\]\([^)#]+' "$page" | sed 's/^](//' | grep -v '^https\?:' || true)
    for link in $links; do
        [ -e "$folder/$link" ] || { echo "$page links to $link, which is not there"; failed=1; }
    done
    [ "${2:-}" != installed ] || continue
    # Paths with a placeholder, a glob or an option are examples.
    paths=$(grep -oE '`(core|plugins|configs|tests|docs|cmake|examples|bench)/[A-Za-z0-9_./-]+`' "$page" |
        tr -d '`' || true)
    for path in $paths; do
        [ -e "$path" ] || { echo "$page names $path, which is not there"; failed=1; }
    done
done
exit $failed
