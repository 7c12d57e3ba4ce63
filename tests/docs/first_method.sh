#!/usr/bin/env bash
# first_method.sh SOURCE_DIR BUILD_DIR: does what docs/first-method.md says, against an installed tree and
# in an empty folder: its C blocks are the plugin, its sh blocks are run in their order.
set -euo pipefail
page=$1/docs/first-method.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$2" --prefix "$work/tree" >/dev/null
PATH=$work/tree/bin:$PATH
PKG_CONFIG_PATH=$(dirname "$(find "$work/tree" -name wisp.pc)")
export PATH PKG_CONFIG_PATH OMP_WAIT_POLICY=passive
unset WISP_PLUGIN_PATH

# Blocks in their order: 1.sh, 2.sh ... and byol.c, whose pieces stand between blank lines.
awk -v folder="$work" '
    /^```/ && kind { if (kind == "sh") close(file); kind = ""; next }
    /^```sh$/ { kind = "sh"; file = folder "/" ++n ".sh"; next }
    /^```c$/ { kind = "c"; skip = 1; if (pieces++) print "" > (folder "/byol.c"); next }
    kind == "c" && skip { skip = 0; next } # the name of the file
    kind == "c" { print > (folder "/byol.c") }
    kind == "sh" { print > file }' "$page"
[ -e "$work/3.sh" ] && [ ! -e "$work/4.sh" ] || { echo "the page has not three blocks of commands"; exit 1; }
cmp "$work/byol.c" "$1/examples/byol/byol.c" || { echo "the page shows another plugin than examples/byol"; exit 1; }

mkdir "$work/empty"
cd "$work/empty"
set -x
. "$work/1.sh"
cp "$work/byol.c" byol.c
. "$work/2.sh" 2>&1 | tee "$work/out"
set +x
grep -q "[1-9][0-9]* passed, 0 failed" "$work/out" || { echo "wisp validate finds something in BYOL"; exit 1; }
grep -q "BYOL: one view predicts" "$work/out" || { echo "inspect shows another plugin"; exit 1; }
grep -q "loss [0-9]" "$work/out" || { echo "no loss is printed"; exit 1; }
. "$work/3.sh" 2>&1 | tee "$work/out"
grep -q 'method.use.*"dino".*"byol"' "$work/out" || { echo "the comparison does not tell dino from byol"; exit 1; }
report=$(find . -name comparison.json)
[ -s "$report" ] || { echo "there is no comparison.json"; exit 1; }
