# api.awk -v header=NAME.h -v names=FILE NAME.h: a public header as a page of Markdown. What it
# declares goes into FILE, a line each: section, name. Comments become text, declarations stay C; the
# bodies of inline functions are left out, and so is what only the compiler needs.
#
# It reads headers as clang-format leaves them: what begins in the first column begins a declaration.

{ line[++n_lines] = $0 }
/^#undef / { undefined[$2] = 1 }

# --- comments ---

# The text of a comment, a line each into text[1..n]; returns n.
function comment_lines(from, to, text,    i, n, s) {
    n = 0
    for (i = from; i <= to; i++) {
        s = line[i]
        sub(/^\/\*/, "", s)
        if (i > from)
            sub(/^ \*\/?/, "", s)
        sub(/ *\*\/ *$/, "", s)
        sub(/^ /, "", s)
        sub(/ +$/, "", s)
        text[++n] = s
    }
    return n
}
# What Markdown would take for markup.
function plain(s) {
    gsub(/[*<]/, "\\\\&", s)
    gsub(/(^|[^A-Za-z0-9])_/, "&\001", s)
    gsub(/_\001/, "\\_", s)
    return s
}
# Lines that are set out by their place stay as they are.
function is_set_out(s) {
    return s ~ /^  / || s ~ /[^.]   +[^ ]/
}
function print_text(from, to,    i, n, text, in_code) {
    n = comment_lines(from, to, text)
    while (n > 0 && text[n] == "")
        n--
    in_code = 0
    for (i = 1; i <= n; i++) {
        if (text[i] == "" && i == 1)
            continue
        if (is_set_out(text[i]) && !in_code) {
            printf "%s```text\n", (text[i - 1] == "") ? "" : "\n"
            in_code = 1
        } else if (in_code && !is_set_out(text[i]) && !(text[i] == "" && is_set_out(text[i + 1]))) {
            printf "```\n%s", (text[i] == "" ? "" : "\n")
            in_code = 0
        }
        print in_code ? text[i] : plain(text[i])
    }
    if (in_code)
        print "```"
    print ""
}
function skip_comment(i) {
    while (line[i] !~ /\*\//)
        i++
    return i
}
function is_only_for_tools(s) {
    return s ~ /clang-format/
}

# --- declarations ---

# A line of C without comments and quoted texts; comments may go on from line to line.
function without_comments(s) {
    if (in_comment) {
        if (!sub(/^.*\*\//, "", s))
            return ""
        in_comment = 0
    }
    gsub(/\/\*([^*]|\*[^\/])*\*\//, "", s)
    in_comment = sub(/\/\*.*/, "", s)
    gsub(/"([^"\\]|\\.)*"|'([^'\\]|\\.)'/, "0", s)
    return s
}
function count(s, what) {
    return gsub(what, "", s)
}
function tell(name) {
    told[name] = 1
    print section "\t" name > names
}
function capital(s) {
    return toupper(substr(s, 1, 1)) substr(s, 2)
}
function title(name) {
    tell(name)
    print "### `" name "`\n"
}
function print_code(text) {
    printf "```c\n%s\n```\n\n", text
}
# The longest beginning, up to an underscore, that all names share.
function shared(all, n,    i, s) {
    s = all[1]
    for (i = 2; i <= n; i++)
        while (index(all[i], s) != 1)
            s = substr(s, 1, length(s) - 1)
    sub(/[^_]*$/, "", s)
    return s
}
function enum_name(text,    n, i, parts, all, k) {
    gsub(/\/\*([^*]|\*[^\/])*\*\//, "", text)
    sub(/^[^{]*\{/, "", text)
    sub(/\}.*/, "", text)
    n = split(text, parts, ",")
    k = 0
    for (i = 1; i <= n; i++) {
        sub(/=.*/, "", parts[i])
        gsub(/[ \n]/, "", parts[i])
        if (parts[i] ~ /^WISP_[A-Z0-9_]+$/)
            all[++k] = parts[i]
    }
    return name_of_all(all, k)
}
# One name for several values.
function name_of_all(all, k) {
    if (k == 0)
        return ""
    if (k > 1 && length(shared(all, k)) > length("WISP_"))
        return shared(all, k) "..."
    return k == 1 ? all[1] : k == 2 ? all[1] ", " all[2] : all[1] " ..."
}
# Constants that follow each other without an empty line are one thing.
function flush_defines() {
    if (n_defines == 0)
        return
    title(name_of_all(define_names, n_defines))
    print_code(defines)
    if (defines_from)
        print_text(defines_from, defines_to)
    n_defines = 0
}
function add_define(name, text) {
    if (n_defines == 0) {
        defines = ""
        defines_from = comment
        defines_to = comment_end
        comment = 0
    }
    define_names[++n_defines] = name
    defines = defines (n_defines == 1 ? "" : "\n") text
}
function name_of(text,    s) {
    if (text ~ /^(typedef )?enum/)
        return enum_name(text)
    if (text ~ /^typedef struct [a-z0-9_]+ [a-z0-9_]+;/ || text ~ /^typedef (struct|union)/) {
        sub(/;[^;]*$/, "", text)
        sub(/.*[ }]/, "", text)
        return text
    }
    if (match(text, /\(\*[a-z0-9_]+\)/) && text ~ /^typedef/)
        return substr(text, RSTART + 2, RLENGTH - 3)
    if (text ~ /^typedef/) {
        sub(/;.*/, "", text)
        sub(/.*[ *]/, "", text)
        return text
    }
    if (text ~ /^struct [a-z0-9_]+ *\{/) {
        split(text, s, " ")
        return s[2]
    }
    sub(/[\[(=;].*/, "", text)
    sub(/ +$/, "", text)
    sub(/.*[ *]/, "", text)
    return text
}
# A declaration without the keywords that all of its kind have.
function signature(text,    n, i, lines, pad) {
    if (!match(text, /^(static inline|WISP_API|WISP_PIXEL_FUNCTION) /))
        return text
    pad = RLENGTH
    n = split(text, lines, "\n")
    text = substr(lines[1], pad + 1)
    for (i = 2; i <= n; i++)
        text = text "\n" (substr(lines[i], 1, pad) ~ /^ +$/ ? substr(lines[i], pad + 1) : lines[i])
    return text
}
# A prototype that is too long for a line goes on behind its opening parenthesis.
function wrapped(s,    at, head, pad) {
    pad = index(s, "(")
    head = ""
    while (length(s) > 100) {
        for (at = 100; at > pad && substr(s, at, 2) != ", "; at--)
            ;
        if (at <= pad)
            break
        head = head substr(s, 1, at) "\n"
        s = sprintf("%" pad "s", "") substr(s, at + 2)
    }
    return head s
}
# X(type, name, (parameters), (arguments)) and V(name, (parameters), (arguments)), with comments
# between groups: one block of prototypes for each group. X(NAME, value, "text"): a table. Comments
# that follow each other are the lines of one.
function print_list(text,    entry, group, words, rest, type, at, depth, i, c, part, n_parts, parts) {
    group = words = ""
    while (match(text, /\/\*([^*]|\*[^\/])*\*\/|[XV]\(/)) {
        rest = substr(text, RSTART + RLENGTH)
        entry = substr(text, RSTART, RLENGTH)
        if (entry ~ /^\/\*/) {
            if (group != "")
                print_code(group)
            group = ""
            gsub(/^\/\* *| *\*\/$/, "", entry)
            gsub(/ +/, " ", entry)
            words = words (words == "" ? "" : " ") entry
            text = rest
            continue
        }
        if (words != "")
            print plain(words) ":\n"
        words = ""
        depth = 1
        n_parts = 0
        part = ""
        for (i = 1; depth > 0 && i <= length(rest); i++) {
            c = substr(rest, i, 1)
            depth += (c == "(") - (c == ")")
            if ((c == "," && depth == 1) || depth == 0) {
                gsub(/^ +| +$/, "", part)
                gsub(/ +/, " ", part)
                parts[++n_parts] = part
                part = ""
            } else
                part = part c
        }
        text = substr(rest, i)
        type = entry == "X(" ? parts[1] : "void"
        at = entry == "X(" ? 2 : 1
        if (parts[at + 1] !~ /^\(/) {
            gsub(/^"|"$/, "", parts[3])
            if (group == "")
                print "| name | value | meaning |\n| --- | --- | --- |"
            group = " "
            print "| `WISP_" parts[1] "` | " parts[2] " | " parts[3] " |"
            tell("WISP_" parts[1])
            continue
        }
        tell("wisp_" parts[at])
        group = group (group == "" ? "" : "\n") \
                wrapped(type (type ~ /\*$/ ? "" : " ") "wisp_" parts[at] parts[at + 1] ";")
    }
    if (group == " ")
        print ""
    else if (group != "")
        print_code(group)
}

# --- the page ---

END {
    print "# " header "\n"
    print "Made by `docs/reference/api.sh` from [core/include/wisp/" header \
          "](../../../core/include/wisp/" header ");\nnot edited by hand. [All headers](../api.md)\n"
    for (i = 1; line[i] !~ /^#ifndef WISP_[A-Z0-9_]+_H$/; i++) {
        if (line[i] !~ /^\/\*/)
            continue
        from = i
        i = skip_comment(i)
        if (is_only_for_tools(line[from]))
            continue
        if (from == 1)
            line[1] = "/* " capital(substr(line[1], index(line[1], " - ") + 3))
        print_text(from, i)
    }
    for (i += 2; i <= n_lines; i++) {
        s = line[i]
        if (s !~ /^#define/)
            flush_defines()
        if (s == "") {
            if (comment)
                print_text(comment, comment_end) # about all that follows
            comment = 0
        } else if (s ~ /^\/\* --- .* --- \*\/$/) {
            section = s
            gsub(/^\/\* --- | --- \*\/$/, "", section)
            section = capital(section)
            print "## " section "\n"
        } else if (s ~ /^\/\*/) {
            if (comment)
                print_text(comment, comment_end)
            comment = is_only_for_tools(s) ? 0 : i
            comment_end = i = skip_comment(i)
        } else if (s ~ /^#if/) {
            comment = 0
            for (depth = 1; depth > 0;) {
                i++
                depth += (line[i] ~ /^#if/) - (line[i] ~ /^#endif/)
            }
        } else if (s ~ /^#define/) {
            name = s
            sub(/^#define /, "", name)
            sub(/[( ].*/, "", name)
            text = s
            first = i
            while (line[i] ~ /\\$/)
                text = text "\n" line[++i]
            if (name in undefined)
                comment = 0
            else if (first < i && name ~ /_LIST$/) {
                comment = 0
                gsub(/[ ]*\\\n[ ]*/, " ", text)
                print_list(text)
            } else {
                sub(/[ ]*\\\n.*/, "", text)
                if (text ~ /^#define [A-Z0-9_]+\(/ || comment)
                    flush_defines()
                add_define(name, text)
            }
        } else if (s ~ /^#/ || s ~ /^WISP_[A-Z_]+\(/ || s ~ /^struct [a-z0-9_]+;/ ||
                   s ~ /^typedef struct [a-z0-9_]+ [a-z0-9_]+; *\/\* [a-z_]+[.]h \*\/$/) {
            comment = 0
        } else {
            text = ""
            is_function = braces = parens = 0
            for (first = i;; i++) {
                if (i > n_lines) {
                    print header ":" first ": this has no end" >"/dev/stderr"
                    exit 1
                }
                bare = without_comments(line[i])
                if (!is_function && braces == 0 && parens == 0 && line[i] ~ /^\{/ && text ~ /\)$/)
                    is_function = 1
                if (!is_function)
                    text = text (text == "" ? "" : "\n") line[i]
                braces += count(bare, "[{]") - count(bare, "[}]")
                parens += count(bare, "[(]") - count(bare, "[)]")
                if (braces == 0 && parens == 0 && (is_function || bare ~ /; *$/))
                    break
            }
            name = name_of(text)
            if (name == "" || name in told) {
                comment = 0
                continue
            }
            if (is_function)
                text = text ";"
            else if (text ~ /^static const .*= *\{/)
                sub(/ *= *\{.*/, ";", text)
            title(name)
            print_code(signature(text))
            if (comment)
                print_text(comment, comment_end)
            comment = 0
        }
    }
    flush_defines()
}
