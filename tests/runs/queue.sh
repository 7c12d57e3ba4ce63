#!/usr/bin/env bash
# queue.sh BUILD_FOLDER: SwAV's queue is part of a checkpoint. A run that is interrupted while the
# queue fills and while it is used ends with the same bits as one that is not; the queue is used from
# the step on at which it is full, in the middle of an epoch.
. "$(dirname "$0")/run_kit.sh" "$1"

# 70 rows are cut to 64, four batches; ten steps an epoch.
cat >experiment.toml <<END
extends = "$source_folder/plugins/methods/swav/test.toml"
[run]
epochs = 2
steps = 0
metric_steps = 1
threads = 2
[data]
count = 160
[method]
queue_length = 70
queue_start = 1
END

stops_leave_no_trace 12 17
used=$(train_lines straight | sed -n 's/.*"queue_used": \([01]\).*/\1/p' | tr -d '\n')
[ "$used" = 0000111111 ] || fail "the queue was used so in its epoch: $used"
keeps queue.0 queue.0.cursor queue.1 queue.1.cursor
