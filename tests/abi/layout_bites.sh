#!/usr/bin/env bash
# Does layout.awk refuse what ABI-5 forbids, and do the headers hold nothing that it would not cover?
set -uo pipefail
awk_file=$(dirname "$0")/layout.awk
failed=0
refuses() { # WORDS DECLARATION
    output=$(printf '%s\n' "$2" | awk -f "$awk_file" 2>&1 >/dev/null) && { echo "taken: $2"; failed=1; }
    grep -qF "$1" <<<"$output" || { echo "not refused as \"$1\": $2: $output"; failed=1; }
}
accepted='typedef struct wisp_good { uint32_t struct_size; int32_t a, b; double c[2]; const char *d;
  const struct wisp_other *e; wisp_status (*f)(void *self, long x); char name[8]; } wisp_good;
enum { WISP_GOOD = 1 };'
made=$(awk -f "$awk_file" <<<"$accepted") || { echo "a good struct is refused"; failed=1; }
for field in struct_size a b c d e f name; do
    grep -q "offsetof(struct wisp_good, $field)" <<<"$made" || { echo "$field is not in the layout"; failed=1; }
done
refuses "bit field" 'struct wisp_x { uint32_t a : 3; };'
refuses "another type" 'struct wisp_x { long a; };'
refuses "another type" 'struct wisp_x { enum wisp_kind a; };'
refuses "another type" 'struct wisp_x { FILE *a; };'
refuses "another type" 'struct wisp_x { _Bool a; };'
refuses "nested" 'struct wisp_x { struct wisp_y { int32_t a; } b; };'

# What it would pass by in silence, in any public header: looked for in the headers without comments.
passed_by() { grep -nE '(^|[^a-z_])(union[^a-z_]|struct *\{|struct *$|enum +[a-z_0-9]+ *\{)'; }
for header in "$(dirname "$0")"/../../core/include/wisp/*.h; do
    "${CC:-cc}" -fpreprocessed -dD -E -P "$header" 2>/dev/null | passed_by &&
        { echo "$header: not covered by the layout"; failed=1; }
done
for planted in 'union wisp_x { int32_t a; float b; };' 'typedef struct { int32_t a; } wisp_x;' \
    'enum wisp_x { WISP_A = 1 };'; do
    passed_by <<<"$planted" >/dev/null || { echo "passed by: $planted"; failed=1; }
done

# Every struct with fields, in every public header wherever it lies, is in the committed layout and the
# other way round; found by another way than layout.awk's.
include=$(dirname "$0")/../../core/include
structs_of() { # FOLDER
    find "$1" -name '*.h' -exec "${CC:-cc}" -fpreprocessed -dD -E -P {} \; 2>/dev/null |
        tr '\n' ' ' | grep -oE '(^|[^A-Za-z_0-9])struct +[A-Za-z_0-9]+ *\{' |
        sed 's/.*struct *//; s/ *{//' | sort -u
}
laid_out=$(sed -n 's/^struct \([A-Za-z_0-9]*\) .*/\1/p' "$(dirname "$0")/layout.txt" | sort -u)
compare() { diff <(structs_of "$1") <(echo "$laid_out"); }
[ "$(wc -l <<<"$laid_out")" -gt 100 ] || { echo "layout.txt has few structs"; failed=1; }
compare "$include" || { echo "layout.txt has not exactly the structs of the headers"; failed=1; }
planted=$(mktemp -d)
trap 'rm -rf "$planted"' EXIT
mkdir "$planted/draft" && cp "$include"/wisp/*.h "$planted"
for struct in 'typedef struct wisp_x { int32_t a; } wisp_x;' 'struct Other_x{ int32_t a; };'; do
    echo "$struct" >"$planted/draft/x.h"
    compare "$planted" >/dev/null && { echo "not missed in layout.txt: $struct"; failed=1; }
done
exit $failed
