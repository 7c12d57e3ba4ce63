#!/usr/bin/env bash
# wisp run --locked: a run goes on, or is repeated, with the plugins it was made with or not at all; and
# what is said without it.
. "$(dirname "$0")/expect.bash"
export OMP_WAIT_POLICY=passive
cd "$work" || exit 1
mkdir plugins
cp "$build"/plugins/wisp-{dataset-synthetic,sampler-multicrop}.so plugins/
cat >a.toml <<END
extends = "$source/configs/smoke/base.toml"
[run]
name = "a"
out = "runs"
device = "cpu"
threads = 1
workers = 0
epochs = 2
END
again() { # CODE ARGUMENTS...: the run once more
    expect "$1" run a.toml --plugin-path plugins "${@:2}"
}
# A file with one more byte behind its end does what it did, and is another file.
rebuild() {
    printf x >>plugins/wisp-$1.so
}
hash_of() { "$wisp" inspect plugins/wisp-$1.so --json | "$json" plugins.0.hash; }
manifest=runs/a/0/manifest.json

# --- going on ---
again 0 --locked run.steps=1
errs "--locked: a new run, which the plugins of this call are written down for"
again 0 --locked run.steps=2
grep -q "bits\|--locked" "$work/err" && complain "$call: complains of the same plugins"
before=$(cat $manifest runs/a/0/metrics.jsonl | cksum)
old=$(hash_of dataset-synthetic)
rebuild dataset-synthetic
rebuild sampler-multicrop
new=$(hash_of dataset-synthetic)
[ -n "$old" ] && [ "$old" != "$new" ] || complain "wisp inspect tells no other hash of another file"
again 2 --locked run.steps=3
errs "wisp: --locked: $manifest was written with other means:" \
    "  dataset/synthetic is another build: 0.1.0 (hash $new), not 0.1.0 (hash $old)" \
    "  sampler/multicrop is another build: 0.1.0 (hash $(hash_of sampler-multicrop))" \
    "put them back, or go without --locked"
[ "$(grep -c "another build" "$work/err")" = 2 ] || complain "$call: not each change once"
[ -s "$work/out" ] && complain "$call: prints a result as well"
again 2 --locked run.steps=2 # nothing is left to do, and it is refused all the same
errs "dataset/synthetic is another build"
[ "$before" = "$(cat $manifest runs/a/0/metrics.jsonl | cksum)" ] || complain "$call: touches the run"

# Without it there is one line of warning, and from then on those are the run's plugins.
again 0 run.steps=3
[ "$(grep -c "may not end with the bits of one that was never stopped: another build of dataset/synthetic; another build of sampler/multicrop" "$work/err")" = 1 ] ||
    complain "$call: not one warning of both"
again 0 --locked run.steps=4

# --- another host, and a manifest that cannot be held to ---
cp $manifest kept.json
sed -i 's/^  "wisp": "[^"]*"/  "wisp": "0.0.7"/; s/^      "wisp": "[^"]*"/      "wisp": "0.0.8"/' $manifest
again 2 --locked run.steps=5
errs "  wisp is another one: " "not 0.0.8 (compiler "
grep -q "another build" "$work/err" && complain "$call: complains of plugins"
echo "no manifest" >$manifest
again 2 --locked run.steps=5
errs_once "--locked: $manifest is damaged, so there is nothing to hold plugins to"
rm $manifest
again 2 --locked run.steps=5
errs_once "--locked: $manifest is missing, so there is nothing to hold plugins to"
cp kept.json $manifest

# --- repeating: the stored configuration, with the manifest beside it ---
repeat() { # CODE ARGUMENTS...
    expect "$1" run --locked --plugin-path plugins "${@:2}"
}
repeat 2 runs/a/0/config.toml run.out=repeated run.resume=true
errs "--locked: runs/a/0/manifest.json was written with other means" "dataset/synthetic is another build"
[ -e repeated ] && complain "$call: a run that is refused leaves a folder"
rebuild dataset-synthetic # a third build: neither of the two that the run was made with
again 2 --locked run.steps=5
errs "dataset/synthetic is another build"
grep -q sampler "$work/err" && complain "$call: complains of a plugin that is the same"
expect 0 run a.toml --plugin-path plugins run.name=b run.steps=2
repeat 0 runs/b/0/config.toml run.out=repeated run.steps=2
cmp -s runs/b/0/metrics.jsonl repeated/b/0/metrics.jsonl ||
    complain "$call: a run that is repeated has other metrics"
rm -r repeated
repeat 2 runs/b/0/config.toml run.out=repeated run.steps=2 sampler.use=sslight
errs "  sampler/sslight is new: 0.1.0 (hash " "  sampler/multicrop is missing: 0.1.0 (hash "
[ "$(grep -c "is new\|is missing" "$work/err")" = 2 ] || complain "$call: not each change once"
[ -e repeated ] && complain "$call: a run that is refused leaves a folder"
# In its own folder it goes on as it is called by any name.
repeat 0 runs/b/0/config.toml run.steps=3
finish
