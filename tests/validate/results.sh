#!/usr/bin/env bash
# results.sh WISP BUILD SOURCE: wisp validate tells all that it has found and ends when it is told to:
# JSON with words that are no UTF-8, a file of many plugins, options without number, foreign machines.
. "$(dirname "$0")/../cli/expect.bash"

# --- JSON, whatever bytes there are ---
latin=$work/m$'\xe4'rchen
mkdir "$latin"
cp "$bad/wisp-method-bad_create_latin.so" "$latin"
expect 1 validate "$latin/wisp-method-bad_create_latin.so" --json
value file "$work/m?rchen/wisp-method-bad_create_latin.so"
value failed 1
number() { "$json" "$1" <"$work/out" || echo 0; }
n=$(number 'tests.#')
told=$(($(number passed) + $(number failed) + $(number skipped)))
[ "$n" = "$told" ] || complain "$call: $n tests in the list, and $told were counted"
for ((i = 0; i < n; i++)); do
    [ "$("$json" "tests.$i.outcome" <"$work/out")" = fail ] || continue
    [[ "$("$json" "tests.$i.words" <"$work/out")" == *"no m?rchen"* ]] && found=creates
    value "tests.$i.id" "${found:-a test with the words of the plugin}"
done

# --- nothing is left out ---
expect 1 validate "$build/tests/validate/wisp-sampler-many_01.so" --only creates
says "sampler/many_01" "sampler/many_18" "the last one does not want to" \
    "17 passed, 1 failed, 0 skipped"

counts=()
for ((i = 0; i < 200; i++)); do counts+=(count=5); done
expect 0 validate "$bad/wisp-method-good_options.so" --only creates "${counts[@]}"
says "1 passed, 0 failed"
expect 1 validate "$bad/wisp-method-good_options.so" --only creates "${counts[@]}" count=1000
says "0 passed, 1 failed"

# --- what is slow and right passes ---
expect 0 validate "$build/tests/validate/wisp-sampler-slow.so" --only create-destroy-100 --time-limit 12
says "in place of 50" "1 passed, 0 failed"

# --- another machine's: bytes 5 and 18 of the ELF header are the order of bytes and the machine ---
for at in 5 18; do
    file=$work/wisp-method-good_options.so
    cp "$bad/wisp-method-good_options.so" "$file"
    printf '\377' | dd of="$file" bs=1 seek=$at conv=notrunc status=none
    expect 1 validate "$file" --only shared-object
    says "it is built for another machine"
done

# --- stopped or killed, it leaves nothing behind ---
# start: a plugin that never comes back; sets pid, child and its folder.
start() {
    "$wisp" validate "$bad/wisp-method-bad_create_loop.so" --only creates >"$work/out" \
        2>"$work/err" &
    pid=$!
    folder=
    for ((i = 0; i < 500; i++)); do
        child=$(pgrep -P $pid) && folder=$(readlink "/proc/$child/fd/1")
        [[ "$folder" == /tmp/wisp-validate-*/output ]] && break
        sleep 0.02
    done
    folder=${folder%/output}
    [[ "$folder" == /tmp/wisp-validate-* ]] || complain "no child is at work"
}
# gone: the child ends within five seconds.
gone() {
    for ((i = 0; i < 250; i++)); do
        [ -e "/proc/$child" ] || return 0
        sleep 0.02
    done
    complain "$call: the child lives on"
    kill -KILL "$child"
}
for signal in INT TERM; do
    call="wisp validate, and a signal $signal"
    start
    kill -$signal $pid
    wait $pid
    [ $? = 1 ] || complain "$call: it does not end with 1"
    errs "stopped at the test creates"
    gone
    [ ! -e "$folder" ] || complain "$call: $folder stays behind"
done
call="wisp validate, and a signal KILL"
start
kill -KILL $pid
wait $pid 2>/dev/null
gone
[ -e "$folder" ] && rm -r "$folder"
finish
