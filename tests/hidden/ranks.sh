#!/usr/bin/env bash
# ranks.sh BUILD_FOLDER: two ranks on a device whose memory the host cannot touch meet by MPI in the
# host's memory, and train as on the cpu; each takes its own device where there are several.
. "$(dirname "$0")/../ranks/rank_kit.sh" "$1"
export WISP_PLUGIN_PATH=$build/tests/hidden

write_tiny ranks <<END
[[probe]]
use = "linear"
END
for device in cpu hidden; do
    ranks 0 2 run ranks.toml run.device=$device run.out=$device
done
same_runs cpu/smoke/0 hidden/smoke/0

export WISP_HIDDEN_DEVICES=2
ranks any 3 run ranks.toml run.device=hidden run.out=three run.batch=18
says "is number 2 on its machine, which has 2 devices"
ranks 0 2 run ranks.toml run.device=hidden run.out=own run.steps=1
