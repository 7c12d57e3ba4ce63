#!/usr/bin/env bash
# capture.sh BUILD_FOLDER: steps that are replayed as one graph have the bits of steps that run call by
# call, with evaluations between them; a steady step asks the device for nothing but copies and the
# graph; what cannot be captured runs call by call, and says so once.
. "$(dirname "$0")/hidden_kit.sh" "$1"
export WISP_HIDDEN_TRACE=$work/trace

count() { grep -cx "$1" trace; }

run 0 run experiment.toml run.device=hidden run.out=calls run.capture=off
grep -q "replayed" out && fail "a graph is spoken of"
[ "$(count capture_begin)" = 0 ] || fail "something is captured all the same"

# Three epochs of six steps, of which the first runs call by call and the second is captured.
run 0 run experiment.toml run.device=hidden run.out=graph
grep -qx "steps are replayed as one graph" out || fail "it is not said that steps are replayed"
same_runs calls/smoke/0 graph/smoke/0
[ "$(count capture_begin)" = "$(count graph_release)" ] || fail "a graph is left"
[ "$(count graph_launch)" -ge 15 ] || fail "steps are not launched"
WISP_HIDDEN=late run 0 run experiment.toml run.device=hidden run.out=late
same_runs calls/smoke/0 late/smoke/0

# With labels, a smaller last batch and an epoch in which the step is another one.
for method in supervised swav; do
    case $method in
    supervised) more="run.drop_last=false sampler.global.count=1 sampler.local.count=0" ;;
    swav) more="method.queue_length=32 method.queue_start=1" ;;
    esac
    { cat experiment.toml && printf '[method]\nuse = "%s"\n' $method; } >$method.toml
    run 0 run $method.toml run.device=cpu run.out=$method.cpu $more
    run 0 run $method.toml run.device=hidden run.out=$method.graph $more
    same_runs $method.cpu/smoke/0 $method.graph/smoke/0
done

# steady OPTION ALLOWED: of thirty steps without an evaluation, the last twenty.
steady() {
    run 0 run "$base" run.device=hidden run.out=steady.$1 run.epochs=8 run.steps=30 run.capture=$1 \
        data.count=600 run.metric_steps=1 run.threads=1 'task=[]'
    tac trace | awk '/^download$/ && last != "download" { n++ } { last = $0 } n > 1 && n <= 21' >window
    [ "$(sort -u window | paste -sd " ")" = "$2" ] ||
        fail "a steady step asks for $(sort -u window | paste -sd " ")"
}
steady auto "copy download graph_launch order_uploads upload wait"
steady off "copy download order_uploads run upload wait"

for at in begin run end; do
    WISP_HIDDEN_NO_GRAPH=$at run 0 run experiment.toml run.device=hidden run.out=no_$at
    [ "$(grep -c "steps are not replayed as a graph, they run call by call: hidden: " err)" = 1 ] ||
        fail "it is not said once that nothing is captured"
    same_runs calls/smoke/0 no_$at/smoke/0
done
run 0 run experiment.toml run.device=hidden_old run.out=old
grep -q "replayed" out err && fail "a graph is spoken of that nobody makes"
run 0 run experiment.toml run.device=hidden run.out=finite --check-finite
same_runs calls/smoke/0 finite/smoke/0
