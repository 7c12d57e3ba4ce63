#!/usr/bin/env bash
# generate.sh BUILD_DIR [check]: writes plugins.md beside this script, what `wisp inspect` says of
# every plugin of a build. `check` compares instead, and fails when they differ.
set -euo pipefail
folder=$(cd "$(dirname "$0")" && pwd)
build=$1
made=$(mktemp)
trap 'rm -f "$made"' EXIT
unset WISP_PLUGIN_PATH
plugins=$("$build/wisp" list)

{
    echo "# Plugins"
    echo
    echo "Made by \`docs/reference/generate.sh\` from the option tables in the plugins; not edited by hand."
    echo "\`wisp inspect KIND/NAME\` prints the same, for plugins outside this tree too."
    while read -r title _; do
        printf '\n## %s\n\n```text\n' "$title"
        "$build/wisp" inspect "$title" | grep -vE '^(file|hash)  '
        echo '```'
    done <<<"$plugins"
} >"$made"

# What a build leaves out for want of a library, and the page without it.
left_out=
for title in comm/mpi backend/cuda dataset/hdf5; do
    grep -q "^$title " <<<"$plugins" || left_out+="## $title;"
done
committed() {
    awk -v left_out="$left_out" '/^## / { skip = index(left_out, $0 ";") } !skip' "$folder/plugins.md"
}

if [ "${2:-}" != check ]; then
    if [ -n "$left_out" ]; then
        echo "this build lacks $left_out and the page would lose it: write it from one that has all plugins"
        exit 1
    fi
    cp "$made" "$folder/plugins.md"
elif ! diff -u <(committed) "$made"; then
    echo "docs/reference/plugins.md differs from the plugins: run docs/reference/generate.sh BUILD_DIR"
    exit 1
fi
