#!/usr/bin/env bash
# docs_options.sh SOURCE_DIR [write]: the tables of docs/experiments.md that describe the host's own
# options say what core/train/settings.c says. `write` puts them there.
set -euo pipefail
settings=$1/core/train/settings.c
page=$1/docs/experiments.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# One markdown table for each option table, into $work/<name>.
awk -v folder="$work" '
function text_of(field,    value) {
    if (!match(entry, "[.]" field " = \"([^\"\\\\]|\\\\.)*\"([ ]+\"([^\"\\\\]|\\\\.)*\")*"))
        return ""
    value = substr(entry, RSTART, RLENGTH)
    sub(/^[^"]*"/, "", value)
    sub(/"$/, "", value)
    gsub(/[^\\]" +"/, "&\001", value) # a string in pieces
    gsub(/" +"\001/, "", value)
    gsub(/\\"/, "\"", value)
    return value
}
function word_of(field,    value) {
    if (!match(entry, "[.]" field " = [^,}]+"))
        return ""
    value = substr(entry, RSTART, RLENGTH)
    sub(/^[^=]*= /, "", value)
    sub(/[.]0$/, "", value)
    return value
}
function takes(    type, text, low, high, count, unit) {
    type = word_of("type")
    sub(/WISP_OPTION_/, "", type)
    if (type == "ENUM")
        return choices[word_of("choices")]
    text = kinds[type]
    count = word_of("max_count")
    if (count != "")
        text = (word_of("min_count") == count ? count : "up to " count) " " text "s"
    low = word_of("min")
    high = word_of("max")
    if (low != "" && high != "")
        text = text " in " (entry ~ /OPEN_MIN/ ? "(" : "[") low ", " high \
               (entry ~ /OPEN_MAX/ ? ")" : "]")
    unit = text_of("unit")
    return unit == "" ? text : text ", " unit
}
function add_row() {
    file = folder "/" table
    if (!(table in begun))
        printf "| key | takes | default | meaning |\n| --- | --- | --- | --- |\n" > file
    begun[table] = 1
    usual = entry ~ /OPTION_REQUIRED/ ? "must be given" : "`" text_of("default_value") "`"
    printf "| `%s` | %s | %s | %s |\n", text_of("key"), takes(), usual, text_of("help") > file
}
BEGIN {
    kinds["BOOL"] = "true or false"
    kinds["I64"] = "integer"
    kinds["F64"] = kinds["F64_LIST"] = "number"
    kinds["STRING"] = kinds["STRING_LIST"] = "string"
    kinds["PATH"] = "path"
}
/^static const wisp_choice/ {
    name = $4
    sub(/\[.*/, "", name)
}
name != "" {
    line = $0
    while (match(line, /\{"[a-z0-9_]+"/)) {
        choices[name] = choices[name] (choices[name] == "" ? "" : ", ") "`" \
                        substr(line, RSTART + 2, RLENGTH - 3) "`"
        line = substr(line, RSTART + RLENGTH)
    }
    if ($0 ~ /;$/)
        name = ""
}
/^const wisp_option wispi_[a-z]+_options_table/ {
    table = $3
    sub(/^wispi_/, "", table)
    sub(/_options_table.*/, "", table)
}
/[.]key = / { entry = ""; inside = 1 }
inside {
    line = $0
    sub(/^ +/, " ", line)
    entry = entry line
    if ($0 ~ /[}],?;?$/) {
        add_row()
        inside = 0
    }
}' "$settings"
tables=$(ls "$work")
[ "$(grep -c '[.]key = ' "$settings")" = "$(cat "$work"/* | grep -c '^| `')" ] || {
    echo "$settings is written in a way that this script does not understand"
    exit 1
}

# The page with these tables between its marks.
awk -v folder="$work" '
/^<!-- options: / { print; table = $3; while ((getline line < (folder "/" table)) > 0) print line
                    seen = seen " " table; skipping = 1; next }
/^<!-- end -->/   { skipping = 0 }
!skipping         { print }
END               { print seen > (folder "/.seen") }' "$page" >"$work/.page"
for table in $tables; do
    grep -qw "$table" "$work/.seen" || { echo "$page has no mark <!-- options: $table -->"; exit 1; }
done
if [ "${2:-}" = write ]; then
    cp "$work/.page" "$page"
elif ! diff -u "$page" "$work/.page"; then
    echo "docs/experiments.md differs from core/train/settings.c: run tests/cli/docs_options.sh . write"
    exit 1
fi
