#!/usr/bin/env bash
# readme.sh SOURCE_DIR BUILD_DIR: README.md names every package that bootstrap installs, every verb,
# every room and every plugin, and its first experiment consists of lines of the real one.
set -euo pipefail
cd "$1"
unset WISP_PLUGIN_PATH
failed=0
needs() {
    grep -qw -- "$1" README.md || { echo "README.md does not name $2 $1"; failed=1; }
}
packages=$(awk '/^packages=\(/ { inside = 1; sub(/^packages=\(/, "") }
                inside { line = $0; sub(/\).*/, "", line); print line }
                inside && /\)/ { exit }' bootstrap)
[ "$(wc -w <<<"$packages")" -ge 5 ] || { echo "bootstrap's packages are not understood"; exit 1; }
for package in $packages; do needs "$package" "the package"; done
for verb in core/cli/verb_*.c; do
    verb=${verb##*verb_}
    needs "wisp ${verb%.c}" "the verb"
done
for room in core/*/; do
    compgen -G "$room*.c" >/dev/null && needs "${room%/}" "the room"
done
while read -r title _; do needs "${title#*/}" "the plugin"; done < <("$2/wisp" list)
while read -r line; do
    grep -qxF -- "$line" configs/quickstart.toml ||
        { echo "README.md shows \"$line\", which configs/quickstart.toml does not have"; failed=1; }
done < <(awk '/^```toml/ { inside = 1; next } /^```/ { inside = 0 } inside' README.md |
    sed 's/ *#.*//' | grep .)
exit $failed
