#!/usr/bin/env bash
# The Debian package, unpacked into an empty folder: what is in it, what it depends on, and whether a
# plugin written and built against it trains.
. "$(dirname "$0")/expect.bash"
for tool in cpack dpkg-deb dpkg-shlibdeps; do
    command -v $tool >"$work/out" || { echo "SKIPPED: there is no $tool"; exit 77; }
done
ldd "$wisp" | grep -q libasan && { echo "SKIPPED: a sanitized build is not packed"; exit 77; }
cd "$work" || exit 1
call="cpack -G DEB"
# What is built is packed: nothing is built anew for it, which Ninja as the generator says.
cpack -G DEB -D CPACK_CMAKE_GENERATOR=Ninja -B "$work/made" --config "$build/CPackConfig.cmake" >"$work/out" 2>"$work/err" || complain "$call fails"
mapfile -t packages < <(ls "$work"/made/wisp_*.deb)
[ ${#packages[@]} = 1 ] || complain "$call: ${#packages[@]} packages"
package=${packages[0]}
dpkg-deb -f "$package" >"$work/out"
says "Package: wisp" "libdnnl" "libjansson4" "libc6 (>=" "Recommends: gcc"
# What plugins link is what the package depends on.
for file in "$build"/plugins/wisp-*.so "$build/libwisp.so" "$build"/plugins/wisp-hdf5-layout; do
    [ -e "$file" ] || continue
    for library in $(ldd "$file" | awk '$1 ~ /libdnnl|libhdf5_|libmpi\.|libz\.|libjansson|libtomlplusplus|libpng|libjpeg/ {print $3}'); do
        owner=$(dpkg -S "$(realpath "$library")" 2>/dev/null | cut -d: -f1)
        [ -z "$owner" ] || grep -q "^Depends:.*$owner" "$work/out" ||
            complain "$call: $(basename "$file") needs $owner, the package does not"
    done
done

dpkg-deb -x "$package" "$work/root"
for file in usr/bin/wisp usr/include/wisp/sdk.h usr/share/wisp/configs/quickstart.toml \
    usr/share/doc/wisp/README.md usr/share/doc/wisp/docs/abi.md \
    usr/share/doc/wisp/examples/plugin/simsiam.c; do
    [ -s "$work/root/$file" ] || complain "$call: no $file"
done
for name in wispConfig.cmake wisp.pc libwisp.so wisp-method-dino.so wisp-backend-cpu.so; do
    find "$work/root/usr" -name $name | grep -q . || complain "$call: no $name"
done
find "$work/root" -name '*bad_*' -o -name 'test_*' | grep . && complain "$call: files of the tests are packed"
grep -rIl -e "$source" -e "$build" "$work/root" | grep . && complain "$call: a folder of the build is named"

wisp="$work/root/usr/bin/wisp"
LD_LIBRARY_PATH=$(dirname "$(find "$work/root" -name libwisp.so)")
PKG_CONFIG_PATH=$LD_LIBRARY_PATH/pkgconfig
export LD_LIBRARY_PATH PKG_CONFIG_PATH OMP_WAIT_POLICY=passive
mkdir "$work/empty" && cd "$work/empty" || exit 1
expect 0 new method my_idea
cd my_idea || exit 1
make >"$work/out" 2>"$work/err" || complain "make fails"
expect 0 run smoke.toml --plugin-path .
grep -q "k-NN top-1" "$work/out" || complain "$call: no result"
finish
