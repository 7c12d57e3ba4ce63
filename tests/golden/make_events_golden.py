"""Writes tests/golden/train/events.tfevents: an event file as TensorBoard's own classes make it.
tests/unit/test_events.c writes the same values and compares the bytes.

Usage: make_events_golden.py

Needs tensorboard; used only to make the file again.
"""

import os

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

HERE = os.path.dirname(os.path.abspath(__file__))


def scalar(time, step, tag, value):
    return Event(wall_time=time, step=step,
                 summary=Summary(value=[Summary.Value(tag=tag, simple_value=value)]))


with open(os.path.join(HERE, "train", "events.tfevents"), "wb") as file:
    writer = RecordWriter(file)
    for event in [
        Event(wall_time=1234.5, file_version="brain.Event:2"),
        scalar(1700000000.25, 1, "train/loss", 4.25),
        scalar(1700000001.0, 127, "probe/k_nn_top_1", 0.0),
        scalar(1700000002.0, 128, "t" * 199, -1e-30),
        scalar(1700000003.0, 2**40 + 5, "\u00fc", float("inf")),
    ]:
        writer.write(event.SerializeToString())
