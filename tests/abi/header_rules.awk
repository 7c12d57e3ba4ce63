# header_rules.awk - reads public headers as they are written, comments and all, and names each struct
# that crosses the border without a word on how it grows (ABI-4), and each function pointer without a
# thread class (ABI-12). `growth` 0: structs are not looked at; `threads` 0: pointers are not.

function complain(what) {
    printf "%s:%d: %s\n", FILENAME, FNR, what
    found = 1
}

FNR == 1 { comment = ""; in_comment = in_struct = is_macro = goes_on = 0 }

# --- comments: the last one, while nothing has come after it ---

in_comment {
    comment = comment " " $0
    in_comment = $0 !~ /\*\//
    next
}
/^ *\/\*/ {
    comment = $0
    in_comment = $0 !~ /\*\//
    next
}

# --- macros are the lists of ops.h and nn.h, whose head says the class of all ---

/^#/ || is_macro {
    is_macro = /\\$/
    comment = ""
    next
}

# --- structs ---

/^(typedef )?struct wisp_[a-z0-9_]+ \{/ {
    name = $1 == "typedef" ? $3 : $2
    in_struct = is_first = 1
    frozen = comment ~ /[Ff]rozen( +\*)? +layout/ || name ~ /_attrs$/ # kernels.h says it of all of them
    # The bundle has its frozen prefix; options come with their size in the descriptor.
    frozen = frozen || name == "wisp_bundle" || name == "wisp_option"
    comment = ""
    next
}
in_struct && /^\}/ { in_struct = 0 }
in_struct && is_first && $0 != "" {
    if (growth && !frozen && $0 !~ /^ *uint32_t struct_size;/)
        complain(name " has neither struct_size nor the words \"Frozen layout\" (ABI-4)")
    is_first = 0
}

# --- function pointers; a parameter may be one too, and needs none ---

!goes_on && (in_struct || /^typedef/) && match($0, /\(\*[a-z0-9_]+\)\(/) {
    if (threads && comment !~ /\[(setup|main|worker|any)\]/)
        complain(substr($0, RSTART + 2, RLENGTH - 4) " has no thread class (ABI-12)")
}
{
    goes_on = $0 !~ /[;{}]( *\/\*.*)?$/ && $0 !~ /^ *$/
    comment = ""
}

END { exit found }
