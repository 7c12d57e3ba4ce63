#!/usr/bin/env bash
# page_looks.sh BUILD SOURCE: on a phone, by day, by night and on paper.
. "$(dirname "$0")/browser.bash"
start_browser

prefer() {
    cdp Emulation.setEmulatedMedia '{"features": [{"name": "prefers-color-scheme", "value": "'"$1"'"}]}'
}
width() {
    cdp Emulation.setDeviceMetricsOverride '{"width": '"$1"', "height": 800, "deviceScaleFactor": 1, "mobile": '"$2"'}'
}

for kind in run comparison sweep; do
    make_page $kind "$checks/${kind}_example.json"
    for theme in light dark; do
        prefer $theme
        width 1280 false
        show_page $kind
        check page_contrast "\"$theme\""
        width 375 true
        run_text 'await drawn(); return "";' wait
        check page_narrow 375
    done
    no_errors $kind
done

# What the reader chooses wins over the system, and going back to the system follows it at once.
make_page run
width 1280 false
prefer light
show_page run
press() {
    run_text '[...document.querySelectorAll("#top button")].find((button) => button.textContent === "'"$1"'").click(); return "";' "$1"
}
picture "$work/light.png"
press Dark
check page_contrast '"dark"'
picture "$work/dark.png"
cmp -s "$work/light.png" "$work/dark.png" && complain "dark looks like light"
press Auto
check page_contrast '"light"'
prefer dark
check page_contrast '"dark"'

# Paper is white.
run_text 'dispatchEvent(new Event("beforeprint")); return "";' print
check page_contrast '"light"'
run_text 'dispatchEvent(new Event("afterprint")); return "";' print
check page_contrast '"dark"'
ask POST /print '{"shrinkToFit": true}'
[ "$(answer value | head -c 8 | base64 -d | head -c 5)" = "%PDF-" ] || complain "it cannot be printed"
no_errors looks
finish
