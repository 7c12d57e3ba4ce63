#!/usr/bin/env bash
# views.sh BUILD_FOLDER: views made on the device are those made in the workers, bit for bit, whatever
# the number of workers; with a smaller last batch, and under each of two samplers.
. "$(dirname "$0")/hidden_kit.sh" "$1"
sed -i 's/^metric_steps = 1/&\nfallback = "reference"/; s/^epochs = 3/epochs = 1/' experiment.toml
sed -i '/^\[\[probe\]\]/,$d' experiment.toml
cat >>experiment.toml <<END
[sampler]
global = { count = 2, size = 16, blur = [1.0, 0.5], solarize = [0.5] }
local = { count = 3, size = 12 }
END

# on_both ARGUMENTS...: the run with the host's views against those with the device's.
on_both() {
    local how workers
    rm -rf host cpu hidden hidden_old
    run 0 run experiment.toml run.device=cpu run.views=host run.out=host "$@"
    for how in cpu hidden hidden_old; do
        for workers in 0 3; do
            rm -rf $how
            run 0 run experiment.toml run.device=$how run.views=device run.workers=$workers run.out=$how "$@"
            same_runs host/smoke/0 $how/smoke/0
        done
    done
    echo "the same: $*"
}

on_both
on_both sampler.use=sslight sampler.global.size=16 sampler.size_multiple=4
on_both method.use=supervised sampler.global.count=1 sampler.local.count=0 run.drop_last=false

# A device that cannot is an error, or the host makes them.
run 2 run experiment.toml run.device=hidden run.views=device run.fallback=none run.out=none
grep -q 'run.views = "device".*make_views' err || fail "the error does not name make_views"
run 0 run experiment.toml run.device=hidden run.fallback=none run.out=auto run.steps=1
grep -q "views are made on the host" err || fail "nothing says where views are made"
