#!/usr/bin/env bash
# import_rule.sh [ROOT]: who may include whom, what files may be called, and what may not be called
# in a plugin. Reads the source tree at ROOT and prints every violation; the arrows between rooms
# are written down here a second time, so that CMakeLists.txt cannot loosen them unseen.
set -euo pipefail
cd "${1:-$(dirname "$0")/..}"
folders=()
for folder in core plugins sdk tests bench examples cmake docs configs; do
    [ -d "$folder" ] && folders+=("$folder")
done

# room: rooms that it may include, besides itself and wisp/
arrows="base:
config: base
tensor: base
ops: tensor base
loader: base config
nn: ops tensor base
image: base
data: image base
train: data image nn ops tensor loader config base
report: train data image nn ops tensor loader config base"

violations=$(mktemp)
trap 'rm -f "$violations"' EXIT

# --- #include lines ---
find "${folders[@]}" -type f \( -name '*.c' -o -name '*.h' -o -name '*.cpp' -o -name '*.cu' \) |
    sort | xargs awk -v arrows="$arrows" '
BEGIN {
    n = split(arrows, lines, "\n")
    for (i = 1; i <= n; i++) {
        split(lines[i], halves, ":")
        m = split(halves[2] " " halves[1], rooms, " ")
        for (j = 1; j <= m; j++)
            may[halves[1], rooms[j]] = 1
    }
    # What a plugin may take from the C library and POSIX.
    n = split("assert ctype errno float inttypes limits math stdalign stdarg stdbool stddef stdint " \
              "stdio stdlib string strings time dirent fcntl unistd sys/stat sys/types sys/mman", c)
    for (i = 1; i <= n; i++)
        libc["<" c[i] ".h>"] = 1
}
function wrong(why) { print FILENAME ":" FNR ": " $0 ": " why }
function exists(path,    line, there) {
    there = (getline line < path) >= 0
    close(path)
    return there
}
# Does a file of this name lie in the plugin, beside the includer or in a folder of it?
function in_own_folder(name) {
    return exists(own "/" name) || exists(beside "/" name)
}
FNR == 1 {
    n = split(FILENAME, part, "/")
    room = part[1] == "core" ? part[2] : part[1]
    own = part[1] "/" part[2] "/" part[3]
    beside = FILENAME
    sub(/\/[^\/]*$/, "", beside)
}
/^[ \t]*#[ \t]*pragma[ \t]+omp|<omp\.h>/ && own != "plugins/backends/cpu" {
    wrong("only plugins/backends/cpu uses OpenMP")
}
!/^[ \t]*#[ \t]*include/ { next }
{
    what = $0
    sub(/^[ \t]*#[ \t]*include[ \t]*/, "", what)
    sub(/[>"][^>"]*$/, substr(what, 1, 1) == "<" ? ">" : "\"", what)
    system_header = substr(what, 1, 1) == "<"
    name = substr(what, 2, length(what) - 2)
    first = name
    sub(/\/.*/, "", first)
}
room != "tests" && !system_header && (first == "tests" || first == "bad") {
    wrong("nothing includes tests")
}
# Libraries of a GPU are opened when a device is asked for, so that plugins load without them.
what == "<dlfcn.h>" && own ~ /^plugins\/(backends\/cuda|comms\/nccl)$/ { next }
# A plugin that starts a program which lies beside it.
own == "plugins/datasets/hdf5" && what == "<dlfcn.h>" { next }
what == "<dlfcn.h>" && room != "loader" && room != "tests" {
    wrong("only core/loader opens shared objects")
}
part[1] == "core" && !system_header && room == "cli" {
    if (what != "\"wisp/runtime.h\"" && !in_own_folder(name))
        wrong("core/cli uses wisp/runtime.h only")
    next
}
part[1] == "core" && !system_header && room == "include" {
    if (first != "wisp")
        wrong("public headers include public headers only")
    next
}
part[1] == "core" && !system_header && first != "wisp" && !((room, first) in may) {
    wrong("core/" room " may not include " first)
}
(part[1] == "plugins" || part[1] == "sdk") && (!system_header || first == "wisp") {
    if (name == "wisp/runtime.h" || (first != "wisp" && !in_own_folder(name)))
        wrong("plugins include wisp/ (without runtime.h) and their own folder")
    next
}
(part[1] == "plugins" || part[1] == "sdk") && !(what in libc) {
    backend = own ~ /^plugins\/(backends|comms)\//
    # Processes that meet by TCP.
    if (own == "plugins/comms/nccl" && name ~ /^(poll|pthread|netdb|netinet\/.*|sys\/(socket|eventfd))\.h$/)
        next
    # Locks, for streams that several workers read; no threads.
    if (own == "plugins/datasets/webdataset" && name ~ /^(pthread|zlib)\.h$/)
        next
    # libhdf5 in a process of its own.
    if (own == "plugins/datasets/hdf5" && name ~ /^(hdf5|poll|signal|spawn|sys\/(wait|prctl|resource))\.h$/)
        next
    if (!(backend && name ~ /^(omp|immintrin|arm_neon|sched|stdatomic|dnnl.*|cu.*|library_types|nccl|mpi|sys\/syscall|linux\/.*|asm\/.*)(\.h|\.hpp)$/))
        wrong("not a header that plugins may use")
}' >>"$violations"

# --- CMake says the same ---
diff <(tr -d ':' <<<"$arrows" | sed 's/ *$//') \
    <(sed -n 's/^wisp_room(\([^)]*\)).*/\1/p' CMakeLists.txt | sed 's/ LINK.*//; s/ USES//') |
    sed -n 's/^[<>]/CMakeLists.txt: wisp_room() and the arrows of import_rule.sh differ:/p' >>"$violations" || true

# --- names of files ---
find "${folders[@]}" -type f ! -path 'tests/golden/*' ! -path 'tests/fuzz/corpus/*' \
    ! -path '*/__pycache__/*' ! -name CMakeLists.txt ! -name README.md ! -name test.toml \
    ! -path 'configs/*' ! -path 'tests/data/*' ! -path 'sdk/templates/*/smoke.toml' \
    ! -path 'sdk/templates/every_kind/*' ! -path 'tests/abi/saved/*' | awk -F/ '
# A plugin is called what it is called in experiments, and its file like its folder.
$1 == "plugins" && $NF == $(NF - 1) ".c" { next }
seen[$NF] { print $0 ": the name is taken by " seen[$NF] }
{ seen[$NF] = $0 }' >>"$violations"
find "${folders[@]}" ! -path '*/__pycache__*' | awk -F/ '
tolower($NF) ~ /(^|[_.-])(utils?|common|misc|helpers?)([_.-]|$)/ {
    print $0 ": a name that says nothing"
}' >>"$violations"

# --- calls ---
strip_and_find() { # FORBIDDEN WHY file...
    local forbidden=$1 why=$2
    shift 2
    awk -v forbidden="$forbidden" -v why="$why" '
    FNR == 1 { comment = 0 }
    {
        line = $0
        gsub(/\\./, "", line)
        gsub(/"[^"]*"/, "\"\"", line)
        if (comment && sub(/^.*\*\//, "", line))
            comment = 0
        if (comment)
            next
        gsub(/\/\*([^*]|\*[^\/])*\*\//, "", line)
        sub(/\/\/.*/, "", line)
        if (sub(/\/\*.*/, "", line))
            comment = 1
        if (match(line, "(^|[^A-Za-z0-9_.>])(" forbidden ")[ ]*\\("))
            print FILENAME ":" FNR ": " $0 ": " why
    }' "$@"
}
banned="strcpy|strcat|sprintf|vsprintf|gets|atoi|atol|atof|strtok|rand|srand|system|exit|_exit|abort"
prints="printf|vprintf|puts|putchar|perror|setlocale|chdir|signal|sigaction|raise|longjmp|fork"
mapfile -t plugin_files < <(find plugins $([ -d sdk ] && echo sdk) -name '*.c' -o -name '*.cpp' -o -name '*.cu' -o -name '*.h')
strip_and_find "$banned|$prints" "banned in plugins (ABI-10, 12)" "${plugin_files[@]}" >>"$violations"
mapfile -t core_files < <(find core \( -name '*.c' -o -name '*.cpp' -o -name '*.h' \) \
    ! -path 'core/cli/*' ! -path core/loader/probe.c ! -path core/report/child_process.c \
    ! -path core/train/validate_run.c)
strip_and_find "$banned" "banned in the host" "${core_files[@]}" >>"$violations"
# What a data set asks of its caller while its own allocations are counted is not the host's.
mapfile -t heap_files < <(find core -name '*.c' ! -path core/base/memory.c ! -path core/train/validate_dataset.c)
strip_and_find "malloc|calloc|realloc|aligned_alloc|posix_memalign|asprintf" \
    "the heap is core/base/memory.h" "${heap_files[@]}" >>"$violations"

if [ -s "$violations" ]; then
    cat "$violations"
    exit 1
fi
