#!/usr/bin/env bash
# page_grows.sh BUILD SOURCE: a page that is given other data, as a live one is: what the reader chose
# stays, keys and colours stay together, and what cannot be drawn costs no more than its section.
. "$(dirname "$0")/browser.bash"
start_browser

# The data come from window.given: give() of page_checks.js.
cdp Page.addScriptToEvaluateOnNewDocument '{"source": "window.fetch = async () => ({status: window.given ? 200 : 304, headers: new Headers(), json: async () => { const page = window.given; window.given = null; return page; }});"}'

# follow KIND [FILE]: such a page, which asks for what is new.
follow() {
    make_page "$@"
    sed 's/"live":false/"live":true/' "$work/$1.json" | "$build/tests/report/page_make" >"$work/$1.html"
    grep -q '"live":true' "$work/$1.html" || complain "$1 does not follow"
    show_page "$1"
}

follow comparison "$checks/comparison_example.json"
check page_redrawn
no_errors comparison

follow long
check page_grown
no_errors long

of_run="views map neighbours confusion attention configuration environment"
lacking() { # KIND NUMBERS TROUBLED
    echo "$2" >"$work/lacking.json"
    make_page "$1" "$work/lacking.json"
    show_page "$1"
    check page_lacking "\"outcome $1 curves collapse schedules $of_run\", \"$3\""
    no_errors "lacking $1"
}
lacking comparison '{"metrics": [{}]}' outcome
lacking comparison '{"metrics": [{"pairs": [{"a": 1, "b": 2}]}]}' "outcome comparison"
lacking sweep '{"metrics": [{}]}' sweep
finish
