"""Writes tests/golden/train/by_python.safetensors: what the safetensors package makes of tensors of
every type that wisp reads, of no dimension, of none and of many elements, and of texts that need
quoting. tests/unit/test_checkpoint.c knows the values.

Usage: make_safetensors_golden.py

Needs torch and safetensors; used only to make the file again.
"""

import os

import torch
from safetensors.torch import save_file

HERE = os.path.dirname(os.path.abspath(__file__))

tensors = {
    "f32": torch.arange(12, dtype=torch.float32).reshape(3, 4) / 8 - 0.5,
    "bf16": torch.tensor([1.0, -2.5, 0.0078125], dtype=torch.bfloat16),
    "i32": torch.tensor([[-1], [2147483647]], dtype=torch.int32),
    "i64": torch.tensor([-(2**40), 7], dtype=torch.int64),
    "u8": torch.tensor([0, 127, 255], dtype=torch.uint8),
    "scalar": torch.tensor(3.25),
    "none": torch.zeros(0, 5),
    'quoted "\\ \u00fc/\n': torch.ones(1, 1, 1, 1),
}
metadata = {"format": "pt", 'key "\\': "line\nother \u20ac"}

os.makedirs(os.path.join(HERE, "train"), exist_ok=True)
save_file(tensors, os.path.join(HERE, "train", "by_python.safetensors"), metadata)
