#!/usr/bin/env bash
# Whose code a plugin is: files and folders that everybody may change are refused by every verb that
# loads them (docs/trust.md). What needs root is skipped with a word for anybody else.
. "$(dirname "$0")/expect.bash"
umask 022
cd "$work" || exit 1
work=$(pwd -P) # as it is named in messages
yes=--allow-insecure-plugins
object=wisp-dataset-synthetic.so

# --- every verb that loads a plugin ---
mkdir open && cp "$build"/plugins/{$object,wisp-backend-cpu.so,wisp-backbone-resnet.so} open/
cp "$source/configs/smoke/base.toml" a.toml
printf '[[task]]\nuse = "knn"\nk = 3\n' >task.toml
common="run.out=runs run.name=a run.threads=1 run.workers=0 run.steps=1"
expect 0 run a.toml $common
folder=runs/a/0

refused() { # CODE ARGUMENTS...: with a plugin that everybody may change, and without
    chmod 666 open/*.so
    expect "$1" "${@:2}" --plugin-path open
    errs "$work/open/" "everybody may change this plugin file (mode 0666): chmod o-w $work/open/wisp-" \
        "--allow-insecure-plugins" "docs/trust.md"
    expect 0 "${@:2}" --plugin-path open $yes
    grep -q "everybody may" "$work/err" && complain "$call: says it all the same"
    chmod 644 open/*.so
    expect 0 "${@:2}" --plugin-path open
}
refused 2 run a.toml $common run.name=b run.resume=true
refused 2 check a.toml
refused 2 eval $folder task.toml
refused 2 export $folder w.safetensors --format wisp
refused 2 views a.toml --samples 10
refused 2 bench views a.toml --seconds 0.1
refused 2 data info a.toml
refused 2 pack a.toml -o packed.wisp
refused 2 inspect dataset/synthetic
refused 2 inspect open/$object
refused 2 validate open/$object --only prefix-sane
refused 2 ops test fill --backend cpu
refused 2 compare a.toml a.toml --seeds 1 --emit slurm --out slurm --name s
refused 2 sweep a.toml optimizer.lr=1e-3,2e-3 --seeds 1 --emit slurm --out slurm --name w
chmod 666 open/*.so
# What lists plugins goes on without the one.
expect 0 list dataset --plugin-path open
says "everybody may change this plugin file (mode 0666)"
expect 0 list dataset --plugin-path open $yes
grep -q "everybody may" "$work/out" && complain "$call: refuses it all the same"
expect 0 schema --plugin-path open
errs "everybody may change this plugin file (mode 0666)"
expect 0 schema --plugin-path open $yes
grep -q "everybody may" "$work/err" && complain "$call: refuses it all the same"
expect 0 report $folder --plugin-path open -o page.html
errs "everybody may change this plugin file (mode 0666)"
expect 0 report $folder --plugin-path open -o page.html $yes
grep -q "everybody may" "$work/err" && complain "$call: refuses it all the same"
# The folders of an import are new each time.
expect 2 import w.safetensors a.toml --format wisp run.out=imported --plugin-path open
errs "everybody may change this plugin file (mode 0666)"
expect 0 import w.safetensors a.toml --format wisp run.out=imported --plugin-path open $yes

# --- the processes of a study are told ---
expect 0 compare a.toml run.threads=1 run.workers=0 run.steps=1 run.report=false --set B:optimizer.lr=2e-3 \
    --seeds 1 --out c --plugin-path open $yes
grep -q "everybody may" c/*/logs/*.log && complain "$call: a run of it refuses a plugin"
grep -q -e "--allow-insecure-plugins" slurm/s/slurm.sh && complain "a job array has a switch that its call had not"
expect 0 compare a.toml --set B:optimizer.lr=2e-3 --seeds 1 --emit slurm --out slurm \
    --name t --plugin-path open $yes
grep -q -e "--plugin-path open --allow-insecure-plugins" slurm/t/slurm.sh ||
    complain "$call: slurm.sh lacks the switch"
chmod 644 open/*.so

# --- the way to a file ---
way() { # WORDS FILE: refused in these words, and with the switch it is not
    expect 2 inspect "$2"
    errs_once "$1"
    errs "docs/trust.md"
    expect 0 inspect "$2" $yes
}
mkdir -p top/below/plugins && cp open/$object top/below/plugins/
file=top/below/plugins/$object
expect 0 inspect $file
for open in top top/below top/below/plugins; do
    chmod 777 $open
    way "the folder $work/$open is writable for all (mode 0777): chmod o-w $work/$open" $file
    way "$file: everybody may replace this plugin" $file
    cd top/below || exit 1
    expect 2 inspect plugins/$object
    errs_once "plugins/$object: everybody may replace this plugin"
    cd ../..
    chmod 755 $open
done
chmod 775 top/below/plugins && chmod 664 $file
expect 0 inspect $file # a group is whom somebody chose
chmod 755 top/below/plugins && chmod 644 $file
# In a folder like /tmp one's own file stays one's own.
chmod 1777 top/below/plugins
expect 0 inspect $file
chmod 755 top/below/plugins
# A link is judged where it lies, and where it leads to.
mkdir links && ln -s ../$file links/$object && ln -s links round && ln -s "$work/top" straight
for link in links/$object round/$object straight/below/plugins/$object round/../$file; do
    expect 0 inspect $link
    chmod 777 top/below
    way "the folder $work/top/below is writable for all" $link
    chmod 755 top/below
done
chmod 777 links
way "the folder $work/links is writable for all" links/$object
way "the folder $work/links is writable for all" round/$object
chmod 755 links
ln -s loop-b loop-a && ln -s loop-a loop-b
expect 1 inspect ./loop-a
errs_once "loop-a: Too many levels of symbolic links"
expect 2 inspect $file/x
errs_once "Not a directory"
expect 2 inspect top/below/nothing.so
errs_once "No such file"
expect 2 inspect top/below/
errs_once "not a shared object"

# --- other people, and rights that the caller lacks ---
other="setpriv --reuid=65534 --regid=65534 --clear-groups"
if [ "$(id -u)" != 0 ]; then
    echo "skipped: files of others and elevated rights; this needs root"
    finish
fi
chmod 1777 top/below/plugins
chown 65534 $file
way "and $object there belongs to user 65534, not to you or root" $file
ln -s "$work/open/$object" top/below/plugins/link.so && chown -h 65534 top/below/plugins/link.so
way "and link.so there belongs to user 65534" top/below/plugins/link.so
chmod 755 top/below/plugins
expect 0 inspect $file # whose file it is, is known: who names it has chosen whom to trust

chmod 755 "$work"
if ! $other test -x "$wisp" 2>/dev/null; then
    echo "skipped: elevated rights; another user cannot reach $wisp"
    finish
fi
cp "$wisp" elevated && chmod 4755 elevated
$other ./elevated list >out 2>err || {
    echo "skipped: elevated rights; a set-user-ID program does not run here: $(head -c 200 err)"
    finish
}
mkdir caller && cp open/$object caller/ && chown -R 65534 caller
plain=$wisp
calls() { # WISP: later calls are another user's
    printf '#!/bin/sh\nexec %s %s "$@"\n' "$other" "$1" >as && chmod 755 as
    wisp=$work/as
}
export WISP_PLUGIN_PATH="$work/caller"
calls "$plain"
expect 0 list dataset --json
grep -qF "$work/caller" "$work/out" || complain "$call: a user's own WISP_PLUGIN_PATH is not read"
calls "$work/elevated"
expect 0 list dataset --json
grep -qF "$work/caller" "$work/out" && complain "$call: WISP_PLUGIN_PATH is read with elevated rights"
unset WISP_PLUGIN_PATH
says '"synthetic"'
expect 2 inspect dataset/synthetic --plugin-path caller
errs_once "more rights than its caller" "$work/caller (mode 0755) belongs to user 65534: it must belong to root"
chown 0 caller
expect 2 inspect "$work/caller/$object"
errs_once "$work/caller/$object (mode 0644) belongs to user 65534"
chown 0 caller/$object
expect 0 inspect "$work/caller/$object"
chmod 664 caller/$object && chgrp 65534 caller/$object
expect 2 inspect "$work/caller/$object"
errs_once "the group 65534 may change $work/caller/$object (mode 0664)"
expect 2 list $yes
errs_once "--allow-insecure-plugins is not for a program that has more rights than its caller"
finish
