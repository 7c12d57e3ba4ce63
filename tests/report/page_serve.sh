#!/usr/bin/env bash
# page_serve.sh BUILD SOURCE: wisp report --serve in the browser while a run's log grows: the curve
# follows and the zoom stays; other hosts, paths and methods are refused; Ctrl-C ends it.
. "$(dirname "$0")/browser.bash"
run="$work/runs/a/0"
mkdir -p "$run"
printf '[run]\nname = "a"\nseed = 0\nepochs = 4\nbatch = 8\n' >"$run/config.toml"

log_until() { # STEP: the log up to this step, one line a step
    local step
    for ((step = $(wc -l <"$run/metrics.jsonl"); step < $1; step++)); do
        echo '{"kind": "train", "epoch": 0, "step": '"$step"', "loss": '"$((9 - step % 7))"'}'
    done >>"$run/metrics.jsonl"
}
: >"$run/metrics.jsonl"
log_until 30

serve() { # ARGUMENT...: its address in $address, its process in $server
    "$build/wisp" report --serve "$run" "$@" >"$work/address" 2>"$work/serve.err" &
    server=$!
    for _ in $(seq 600); do
        [ -s "$work/address" ] && break
        sleep 0.1
    done
    address=$(cat "$work/address")
    [[ $address =~ ^http://127\.0\.0\.1:[1-9][0-9]*/$ ]] || { echo "FAILED: no address: $(cat "$work/serve.err")"; exit 1; }
}
serve
others=("$server")

# expect_status WANTED ARGUMENT...: what curl is answered.
expect_status() {
    local wanted=$1 got
    shift
    rm -f "$work/body"
    got=$(curl -s -m 20 -o "$work/body" -D "$work/head" -w '%{http_code}' "$@")
    [ "$got" = "$wanted" ] || complain "curl $*: status $got, not $wanted"
}
port=${address##*127.0.0.1:}
port=${port%/}
expect_status 200 "$address"
expect_status 200 "http://localhost:$port/"
grep -q '^<!DOCTYPE html>' "$work/body" || complain "/ is not the page"
expect_status 200 "${address}page.json"
"$json" runs.0.curves.train/loss.step.# <"$work/body" | grep -qx 30 || complain "page.json is another"
tag=$(tr -d '\r' <"$work/head" | sed -n 's/^ETag: //ip')
expect_status 304 -H "If-None-Match: $tag" "${address}page.json"
[ -s "$work/body" ] && complain "304 has a body"
expect_status 200 -H 'If-None-Match: "other"' "${address}page.json"
for host in evil.example "evil.example:$port" 127.0.0.1 "127.0.0.1:1" "127.0.0.1:$port.evil.example" ""; do
    expect_status 403 -H "Host: $host" "${address}page.json"
    grep -q '"runs"' "$work/body" && complain "host \"$host\" gets the data"
done
for path in page.html ../../etc/passwd %2e%2e/%2e%2e/etc/passwd config.toml page.json/.. "?../x"; do
    wanted=404
    [ "$path" != "?../x" ] || wanted=200 # of /
    expect_status $wanted --path-as-is "$address$path"
done
expect_status 405 -X DELETE "$address"
expect_status 200 -I "$address"
curl -s -m 20 -X POST --data-binary @"$0" "$address" >"$work/body"
grep -q '"runs"' "$work/body" && complain "a body is answered with the data"
# What is damaged is said when it comes to be, not once a second.
told() { grep -c "shows no confusion matrix" "$work/serve.err"; }
echo '[]' >"$run/confusion.json"
for _ in $(seq 100); do
    [ "$(told)" = 0 ] || break
    sleep 0.1
done
sleep 3
[ "$(told)" = 1 ] || complain "a damaged file is told $(told) times"
rm "$run/confusion.json"
sleep 2
echo '[]' >"$run/confusion.json"
sleep 3
[ "$(told)" = 2 ] || complain "a file that is damaged again is told $(told) times, not twice"
rm "$run/confusion.json"
# Nowhere but on loopback.
for other in $(hostname -I 2>/dev/null); do
    case $other in
    *:*) ;;
    *) curl -s -m 3 "http://$other:$port/" >/dev/null && complain "it can be reached as $other" ;;
    esac
done
# Half a request, and a header without end, hold nobody up.
exec 5<>"/dev/tcp/127.0.0.1/$port" && printf 'GET / HTTP/1.1\r\nHost: ' >&5
expect_status 200 "$address"
exec 5>&-
head -c 300000 /dev/zero | tr '\0' a >"$work/long"
curl -s -m 20 -H "Host: 127.0.0.1:$port" -H "X-Long: @$work/long" "$address" >/dev/null
(printf 'GET / HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nX: ' "$port" && cat "$work/long") >"/dev/tcp/127.0.0.1/$port" 2>/dev/null
expect_status 200 "$address"

start_browser
open_page "$address"
check page_served 30
pointer "move $(place_of Loss 0.345 0.5)" down "move $(place_of Loss 0.69 0.6)" up
log_until 50
check page_served 50
check page_zoomed '"Loss", 10, 20, true'
# A line that is being written, and a folder that is away for a moment, change nothing.
printf '{"kind": "train", "epoch": 0, "st' >>"$run/metrics.jsonl"
mv "$run" "$work/away"
sleep 3
check page_served 50
mv "$work/away" "$run"
ask POST /se/log '{"type": "browser"}'
[ "$(answer value.#)" = 0 ] || complain "the console says $(answer value)"

# A port that is taken is said so; Ctrl-C ends at once, and well; then the page says so.
"$build/wisp" report --serve "$run" --port "$port" >"$work/out" 2>"$work/err" && complain "one port twice"
grep -q "cannot listen on port $port" "$work/err" || complain "a taken port: $(cat "$work/err")"
kill -INT "$server"
code=0
wait "$server" || code=$?
[ $code = 0 ] || complain "Ctrl-C ends with $code"
others=()
run_text 'for (let i = 0; i < 100 && !document.querySelector("#live.lost"); i++)
              await new Promise((done) => setTimeout(done, 100));
          expect(document.querySelector("#live.lost"), "it does not say that the server has gone");
          expect(chartOf("Loss").data.datasets[0].data.length === 50, "what was shown is gone");
          return verdict();' "after the end"
finish
