# layout.awk - reads the preprocessed public headers and writes a C program that prints, for each
# public struct, its size and the offset and size of each field, and the value of each enumerator.
# What is declared is covered by being declared; what cannot be covered, and a field of a type that
# ABI-5 forbids, is refused here.

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

function refuse(why) {
    print "layout.awk: " why > "/dev/stderr"
    failed = 1
    exit 1
}

# Types whose layout is the same for every compiler; a function pointer is a pointer.
function judge_type(type, declaration,    words) {
    if (declaration ~ /\(\*/)
        return
    if (declaration ~ /:/)
        refuse("struct " type " has a bit field:" declaration " (ABI-5)")
    words = " " declaration
    gsub(/[ \n]+/, " ", words)
    while (sub(/ (const|struct) /, " ", words))
        ;
    if (words !~ /^ *(u?int(8|16|32|64)_t|double|float|size_t|char|void|wisp_[a-z0-9_]+)[ *]/)
        refuse("struct " type " has a field of another type than ABI-5 allows:" declaration)
    if (words ~ /^ *void +[^* ]/)
        refuse("struct " type ": not understood:" declaration)
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
        judge_type(type, declarations[i])
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
    if (failed)
        exit 1
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
