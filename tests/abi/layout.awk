# layout.awk - reads the preprocessed public headers and writes a C program that prints, for each
# public struct, its size and the offset and size of each field, and the value of each enumerator.
# What is declared is covered by being declared.

{ text = text $0 "\n" }

# The declared names of one field, into fields[1..].
function names_of(declaration, fields,    n, i) {
    if (match(declaration, /\(\*[a-z_0-9]+\)/)) { # a function pointer; its parameters come later
        fields[1] = substr(declaration, RSTART + 2, RLENGTH - 3)
        return 1
    }
    gsub(/\[[^]]*\]/, "", declaration)
    n = split(declaration, fields, ",")
    for (i = 1; i <= n; i++) {
        match(fields[i], /[A-Za-z_0-9]+[ \n]*$/)
        fields[i] = substr(fields[i], RSTART, RLENGTH)
        gsub(/[ \n]/, "", fields[i])
    }
    return n
}

function add_struct(type, body,    declarations, fields, n, m, i, j) {
    if (body ~ /[{}]/) {
        print "layout.awk: " type " holds a nested definition, which is not understood" > "/dev/stderr"
        exit 1
    }
    printf "    printf(\"struct %s %%zu\\n\", sizeof(struct %s));\n", type, type
    n = split(body, declarations, ";")
    for (i = 1; i <= n; i++) {
        if (declarations[i] !~ /[a-z]/)
            continue
        m = names_of(declarations[i], fields)
        for (j = 1; j <= m; j++)
            printf "    printf(\"    %s %%zu %%zu\\n\", offsetof(struct %s, %s), " \
                   "sizeof(((struct %s *)0)->%s));\n", fields[j], type, fields[j], type, fields[j]
    }
}

function add_enumerators(body,    parts, n, i, name) {
    n = split(body, parts, ",")
    for (i = 1; i <= n; i++) {
        name = parts[i]
        sub(/=.*/, "", name)
        gsub(/[ \n]/, "", name)
        if (name ~ /^WISP_/)
            printf "    printf(\"%s %%lld\\n\", (long long)%s);\n", name, name
    }
}

END {
    print "int main(void)\n{"
    rest = text
    while (match(rest, /struct wisp_[a-z0-9_]+[ \n]*\{|enum[ \n]*\{/)) {
        head = substr(rest, RSTART, RLENGTH)
        rest = substr(rest, RSTART + RLENGTH)
        end = index(rest, "}")
        body = substr(rest, 1, end - 1)
        if (head ~ /^enum/) {
            add_enumerators(body)
        } else {
            gsub(/struct |[ \n{]/, "", head)
            add_struct(head, body)
        }
        rest = substr(rest, end)
    }
    print "    return 0;\n}"
}
