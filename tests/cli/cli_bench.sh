#!/usr/bin/env bash
# wisp bench views: from an experiment and from data alone; rates and phases are there and fit together.
. "$(dirname "$0")/expect.bash"

cat >"$work/views.toml" <<'END'
[run]
batch = 16
[data]
use = "synthetic"
[sampler]
use = "multicrop"
global = { count = 2, size = 16 }
local = { count = 3, size = 8 }
END

expect 0 bench views "$work/views.toml" --seconds 0.05
says "source images/s" "views 2 x 16 x 16 px + 3 x 8 x 8 px" "resample" "decode"
for workers in 0 2; do
    expect 0 bench views "$work/views.toml" --seconds 0.05 --workers $workers --memory --json \
        sampler.local.count=4
    value workers $workers
    value groups.1.count 4
    [ "$("$json" measured_images <"$work/out")" -gt 0 ] || complain "$call: no image was measured"
    [ "$("$json" bytes_in_memory <"$work/out")" -gt 0 ] || complain "$call: nothing was loaded"
    awk -v i="$("$json" images_per_s <"$work/out")" -v v="$("$json" views_per_s <"$work/out")" \
        'BEGIN { exit !(i > 0 && v > 5.9 * i && v < 6.1 * i) }' || complain "$call: rates do not fit"
done
expect 0 bench views "$work/views.toml" --seconds 0.05 run.views=device --json
value as_plans true
expect 0 bench views "$work/views.toml" --seconds 0.05 run.views=bytes --json
value as_bytes true
value dtype u8

expect 2 bench steps "$work/views.toml"
expect 2 bench views
expect 2 bench views "$work/views.toml" --seconds 0
expect 2 bench views "$work/views.toml" --workers x
expect 2 bench views "$work/nothing.toml"
expect 2 bench views "$work/nothing"
expect 2 bench views "$work/views.toml" run.batch=100000000
finish
