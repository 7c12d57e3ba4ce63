#!/usr/bin/env bash
# An installed tree, moved: its wisp finds its plugins, and a plugin is built against it by CMake
# and by a plain compiler call with pkg-config (ABI-18).
. "$(dirname "$0")/expect.bash"
call="cmake --install"
tree="$work/moved"
cmake --install "$build" --prefix "$work/tree" >"$work/out" 2>"$work/err" || complain "$call fails"
mv "$work/tree" "$tree"
wisp="$tree/bin/wisp"
libdir=$(dirname "$(find "$tree" -name pkgconfig)")
abi=$(sed -n 's/^#define WISP_ABI_MAJOR \([0-9]*\).*/\1/p' "$source/core/include/wisp/abi.h")
for file in "$tree/include/wisp/abi.h" "$tree/include/wisp/runtime.h" "$libdir/libwisp.so" \
    "$libdir/wisp/$abi/wisp-method-dino.so" "$libdir/pkgconfig/wisp.pc" \
    "$libdir/cmake/wisp/wispConfig.cmake"; do
    [ -e "$file" ] || complain "$call: no ${file#"$tree"/}"
done
find "$tree" -name '*bad_*' | grep . && complain "$call: installs the plugins of the tests"
(cd "$source/core/include/wisp" && ls) >"$work/headers"
(cd "$tree/include/wisp" && ls) | cmp -s - "$work/headers" || complain "$call: not all headers"

call="the installed documents"
"$source/tests/docs/links.sh" "$tree/share/doc/wisp" installed >"$work/out" 2>"$work/err" || complain "$call: a link leads nowhere"

cd "$work" || exit 1
expect 0 list --json
value 'plugins.#' "$(ls "$build"/plugins/wisp-*-*.so | wc -l)"
expect 0 inspect method/dino
says "$libdir/wisp/$abi/wisp-method-dino.so"
grep -q "$build" "$work/out" && complain "$call: wisp looks into the build tree"
expect 0 ops test softmax

# A plugin of somebody else.
mkdir "$work/outside"
cp "$source/tests/bad/almost_good.h" "$source/tests/bad/small_method.h" "$work/outside"
cp "$source/tests/bad/good_instance.c" "$work/outside/mine.c"
cat >"$work/outside/CMakeLists.txt" <<'CMAKE'
cmake_minimum_required(VERSION 3.25)
project(mine C)
find_package(wisp 0.1 REQUIRED)
add_compile_definitions(PLUGIN_NAME="mine")
wisp_add_plugin(NAME mine KIND method SOURCES mine.c)
add_executable(embeds embeds.c)
target_link_libraries(embeds PRIVATE wisp::wisp)
CMAKE
cat >"$work/outside/embeds.c" <<'C'
#include <stdio.h>
#include "wisp/runtime.h"
int main(void)
{
    return puts(wisp_version()) == EOF;
}
C
call="an out-of-tree build"
cmake -S "$work/outside" -B "$work/outside/build" -DCMAKE_PREFIX_PATH="$tree" >"$work/out" 2>"$work/err" &&
    cmake --build "$work/outside/build" >>"$work/out" 2>>"$work/err" || complain "$call fails"
"$source/tests/abi/plugin_symbols.sh" "$work/outside/build" >>"$work/err" ||
    complain "$call: the plugin is linked wrongly"
asan=$(ldd "$libdir/libwisp.so" | awk '/libasan/ { print $3 }') # must be there first
[ "$(LD_PRELOAD=$asan "$work/outside/build/embeds")" = "$("$wisp" --version | cut -d' ' -f2)" ] ||
    complain "$call: a program that embeds wisp fails"
expect 0 inspect method/mine --plugin-path "$work/outside/build"
says "method/mine 1.2.3"
call="a plugin with fast-math"
cmake -S "$work/outside" -B "$work/outside/fast" -DCMAKE_PREFIX_PATH="$tree" -DCMAKE_C_FLAGS=-Ofast \
    >"$work/out" 2>"$work/err" && complain "$call is configured"
errs "ABI-16"

# What wisp_add_plugin would have to pass over in silence.
refused() { # WORDS ARGUMENTS
    call="wisp_add_plugin($2)"
    printf 'cmake_minimum_required(VERSION 3.25)\nproject(x NONE)\nset(CMAKE_MODULE_PATH "%s")\n%s\n%s\n' \
        "$libdir/cmake/wisp" "include(WispPlugin)" "wisp_add_plugin($2)" >"$work/refused/CMakeLists.txt"
    cmake -S "$work/refused" -B "$work/refused/build" >"$work/out" 2>"$work/err" && complain "$call is configured"
    tr -s '\n ' ' ' <"$work/err" | grep -qF -- "$1" || complain "$call: does not say \"$1\""
}
mkdir "$work/refused"
refused 'NAME ""' "KIND method SOURCES mine.c"
refused 'NAME "Mine"' "NAME Mine KIND method SOURCES mine.c"
refused 'KIND "metod": kinds are backend' "NAME mine KIND metod SOURCES mine.c"
refused 'SOURCES are missing' "NAME mine KIND method"
refused 'not understood: LINKS' "NAME mine LINKS KIND method SOURCES mine.c"

# find_package asks for the plugin interface by ABI-3, whatever the release is called.
minor=$(sed -n 's/^#define WISP_ABI_MINOR \([0-9]*\).*/\1/p' "$source/core/include/wisp/abi.h")
fits() { # VERSION
    cat >"$work/fits.cmake" <<CMAKE
set(PACKAGE_FIND_VERSION $1)
string(REPLACE "." ";" parts $1)
list(GET parts 0 PACKAGE_FIND_VERSION_MAJOR)
list(GET parts 1 PACKAGE_FIND_VERSION_MINOR)
set(PACKAGE_FIND_VERSION_COUNT 2)
include($libdir/cmake/wisp/wispConfigVersion.cmake)
message(STATUS "fits: \${PACKAGE_VERSION_COMPATIBLE} offered: \${PACKAGE_VERSION}")
CMAKE
    cmake -P "$work/fits.cmake" >"$work/out" 2>"$work/err"
    call="find_package(wisp $1)"
}
fits "$abi.$minor"
says "fits: TRUE offered: $abi.$minor"
[ "$(sed -n 's/.*offered: //p' "$work/out")" = "$abi.$minor" ] || complain "$call: the package is not of the ABI's version"
fits "$abi.$((minor + 1))"
says "fits: FALSE"
fits "$((abi + 1)).0"
says "fits: FALSE"

# And with nothing but a compiler.
export PKG_CONFIG_PATH="$libdir/pkgconfig"
call="pkg-config"
[ "$(pkg-config --variable=abi_major wisp)" = "$abi" ] || complain "$call: abi_major"
plugindir=$(realpath "$(pkg-config --variable=plugindir wisp)")
[ "$plugindir" = "$libdir/wisp/$abi" ] || complain "$call: plugindir is $plugindir"
# shellcheck disable=SC2046
cc -std=c11 -shared -fPIC -fvisibility=hidden -DPLUGIN_NAME='"bare"' $(pkg-config --cflags wisp) \
    -Wl,-z,defs -o "$plugindir/wisp-method-bare.so" "$work/outside/mine.c" 2>"$work/err" ||
    complain "a compiler call fails"
expect 0 list method
says "method/bare" "method/dino"
finish
