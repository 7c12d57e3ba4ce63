#!/usr/bin/env bash
# shuffled_keys.sh BUILD_FOLDER: MoCo's queue and the order in which keys are shuffled belong to the
# step, not to the process: a run that is interrupted inside epochs, also before the queue has been
# filled once, ends with the same bits as one that is not.
. "$(dirname "$0")/run_kit.sh" "$1"

# The queue holds four batches; an epoch has ten steps.
cat >experiment.toml <<END
extends = "$source_folder/plugins/methods/moco/test.toml"
[run]
epochs = 2
steps = 0
metric_steps = 1
threads = 2
[data]
count = 160
END

stops_leave_no_trace 3 13
keeps queue queue.cursor
