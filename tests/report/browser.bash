# browser.bash - sourced by the tests of the page: page_<topic>.sh BUILD SOURCE. A headless Chromium
# that is told what to do by WebDriver, over loopback; SKIPPED where there is none.
set -uo pipefail
build=$1
source=$2
json="$build/tests/cli/json_value"
checks="$source/tests/report"
for needed in chromedriver chromium curl; do
    command -v $needed >/dev/null || { echo "SKIPPED: there is no $needed here"; exit 77; }
done
work=$(mktemp -d)
driver=
session=
others=()
failures=0

end_browser() {
    [ -z "$session" ] || curl -s -m 20 -X DELETE "$session" >/dev/null
    [ -z "$driver" ] || kill "$driver" 2>/dev/null
    [ ${#others[@]} = 0 ] || kill "${others[@]}" 2>/dev/null
    wait
    rm -rf "$work"
}
trap end_browser EXIT

complain() {
    echo "FAILED: $*"
    failures=$((failures + 1))
}

finish() {
    [ "$failures" = 0 ] || echo "$failures failed"
    exit $((failures > 0))
}

# ask METHOD PATH [BODY]: one call of the driver; the answer is in $work/answer.
ask() {
    curl -s -m 180 -X "$1" -H 'Content-Type: application/json' ${3:+--data-binary "$3"} \
        "$session$2" >"$work/answer" || { complain "WebDriver: $1 $2 is not answered"; return 1; }
    if grep -q '^{"value":{"error":' "$work/answer"; then
        complain "WebDriver: $1 $2: $(answer value.error): $(answer value.message | head -5)"
        return 1
    fi
}

answer() {
    "$json" "$1" <"$work/answer"
}

# As a JSON string.
quoted() {
    printf '"'
    sed -e 's/\\/\\\\/g; s/"/\\"/g; s/\t/\\t/g' | awk '{printf "%s\\n", $0}'
    printf '"'
}

start_browser() {
    local port='' sandbox=''
    [ "$(id -u)" != 0 ] || sandbox='"--no-sandbox",'
    chromedriver --port=0 >"$work/driver.log" 2>&1 &
    driver=$!
    for _ in $(seq 600); do
        port=$(sed -n 's/.*started successfully on port \([0-9]*\).*/\1/p' "$work/driver.log")
        [ -z "$port" ] || break
        sleep 0.1
    done
    [ -n "$port" ] || { echo "chromedriver does not start"; cat "$work/driver.log"; exit 1; }
    session="http://127.0.0.1:$port/session"
    ask POST "" '{"capabilities": {"alwaysMatch": {"browserName": "chrome",
        "timeouts": {"script": 150000, "pageLoad": 150000},
        "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        "goog:chromeOptions": {"binary": "'"$(command -v chromium)"'", "args": ["--headless=new", '"$sandbox"'
            "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--no-first-run",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            "--window-size=1280,900", "--user-data-dir='"$work"'/profile"]}}}}' || exit 1
    session="$session/$(answer value.sessionId)"
    # Where the browser itself would have gone first does not count.
    ask POST /url '{"url": "about:blank"}'
    ask POST /se/log '{"type": "performance"}'
}

# make_page KIND [FILE]: a page of tests/report/page_fixture.c, as $work/KIND.html.
make_page() {
    "$build/tests/report/page_fixture" "$@" >"$work/$1.json" &&
        "$build/tests/report/page_make" <"$work/$1.json" >"$work/$1.html" || complain "no page $1"
}

open_page() {
    ask POST /url '{"url": "'"$1"'"}'
    cdp Emulation.setFocusEmulationEnabled '{"enabled": true}'
    local script='for (let i = 0; i < 1200 && document.documentElement.dataset.ready !== "yes"; i++)
                      await new Promise((done) => setTimeout(done, 50));
                  return document.documentElement.dataset.ready === "yes" ? "" : "it is not drawn after a minute";'
    run_text "$script" "$1"
}

show_page() {
    open_page "file://$work/$1.html"
}

# run_text SCRIPT NAME [ARGUMENTS]: an async function's body, in the page; what it returns is a complaint.
run_text() {
    local body said
    body='{"script": '"$( { echo "return (async function () {"; cat "$checks/page_checks.js"; echo "$1"; echo "}).apply(null, arguments);"; } | quoted)"', "args": ['"${3:-}"']}'
    ask POST /execute/sync "$body" || return 1
    said=$(answer value)
    [ -z "$said" ] || complain "$2: $said"
}

# check NAME [ARGUMENTS]: tests/report/NAME.js in the page.
check() {
    run_text "$(cat "$checks/$1.js")" "$1" "${2:-}"
}

cdp() {
    ask POST /goog/cdp/execute '{"cmd": "'"$1"'", "params": '"$2"'}'
}

# What the page wrote to the console, and what was asked of the network since the last look.
no_errors() {
    ask POST /se/log '{"type": "browser"}'
    [ "$(answer value.#)" = 0 ] || complain "$1: the console says $(answer value)"
    ask POST /se/log '{"type": "performance"}'
    grep -o 'Network.requestWillBeSent[^,]*\|\\"url\\":\\"[a-z]*:[^"]\{0,60\}' "$work/answer" >"$work/requests"
    ! grep -E '\\"url\\":\\"(https?|wss?|ftp):' "$work/requests" || complain "$1: it asks the network"
}

# pointer ACTION...: "move X Y", "down", "up", one after the other, in pixels of the window.
pointer() {
    local list='' action x y
    for action; do
        read -r action x y <<<"$action"
        case $action in
        move) list+=',{"type": "pointerMove", "duration": 20, "x": '$x', "y": '$y'}' ;;
        down) list+=',{"type": "pointerDown", "button": 0}' ;;
        up) list+=',{"type": "pointerUp", "button": 0}' ;;
        esac
    done
    ask POST /actions '{"actions": [{"type": "pointer", "id": "mouse", "actions": ['"${list#,}"']}]}'
}

# place_of TITLE SHARE_X SHARE_Y: a point of the plot of the chart of this title, as "X Y"; in the window.
place_of() {
    local body='{"script": '"$( { cat "$checks/page_checks.js"; echo 'return placeOf(...arguments);'; } | quoted)"', "args": ["'"$1"'", '"$2, $3"']}'
    ask POST /execute/sync "$body" && answer value
}

picture() {
    ask GET /screenshot && answer value | base64 -d >"$1"
}
