#!/usr/bin/env bash
# Does every struct of the public headers say how it grows, and every function pointer who calls it?
set -uo pipefail
here=$(dirname "$0")
headers=$here/../../core/include/wisp
failed=0
rules() { awk -v growth="$1" -v threads="$2" -f "$here/header_rules.awk" "${@:3}"; }

# Structs of these are made and read on one side of the border, by the plugin that includes them.
one_side="sdk backend_sdk crops subset order cache_file packed hash64 pixel_math"
looked_at=0
for header in "$headers"/*.h; do
    name=$(basename "$header" .h)
    growth=1 threads=1
    grep -qw -- "$name" <<<"$one_side" && growth=0
    [ "$name" = runtime ] && threads=0 # its head says it of all
    rules $growth $threads "$header" || failed=1
    looked_at=$((looked_at + 1))
done
[ $looked_at -gt 20 ] || { echo "only $looked_at headers are looked at"; failed=1; }

# And are those found that do not?
planted=$(mktemp)
trap 'rm -f "$planted"' EXIT
finds() { # WORDS, the header on standard input
    cat >"$planted"
    said=$(rules 1 1 "$planted") && { echo "taken: $(cat "$planted")"; failed=1; }
    grep -qF "$1" <<<"$said" || { echo "not found as \"$1\": $said"; failed=1; }
}
finds "wisp_x has neither" <<<$'typedef struct wisp_x {\n    int32_t a;\n} wisp_x;'
finds "wisp_x has neither" <<<$'/* Frozen layout. */\nint a;\nstruct wisp_x {\n    int32_t a;\n};'
finds "f has no thread class" <<<$'/* Frozen layout. */\nstruct wisp_x {\n    void (*f)(void);\n};'
finds "g has no thread class" <<<$'/* Frozen layout. */\nstruct wisp_x {\n    /* [any] */\n    void (*f)(void);\n    void (*g)(int a,\n              int b);\n};'
finds "f has no thread class" <<<'typedef void (*f)(void);'
cat >"$planted" <<'HEADER'
/* One of both kinds. */
typedef struct wisp_x {
    uint32_t struct_size;
    /* Calls it back. [main] */
    void (*f)(void *user,
              void (*body)(void *user));
} wisp_x;
HEADER
rules 1 1 "$planted" || { echo "a good header is refused"; failed=1; }
exit $failed
