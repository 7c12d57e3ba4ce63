"""Writes tests/golden/ops/<op>__<case>.safetensors: what PyTorch says an operation gives.

Usage: make_ops_golden.py [OP ...]     (all operations without arguments)

Each module tests/golden/ops_*.py has a function `cases(add)` and calls

    add("conv2d", "stride", attrs={"stride_h": 2, ...}, inputs=[x, w, None], outputs=[y],
        inout={0: 2})

once for every call to be tested: names, argument order and attributes as in wisp/kernels.h, None
for an absent argument (or for an output that is not compared), `inout` telling which input an
output starts from. Values are computed in double precision; `values()` draws inputs that single
precision holds exactly, so that they are stored small. Maps are (N,H,W,C); PyTorch's own layout is
converted with `nhwc` and `nchw`. tests/unit/test_ops_golden.c compares the reference kernels.

Needs torch; used only to make the dumps again.
"""

import glob
import importlib
import json
import os
import struct
import sys
import zlib

import torch

HERE = os.path.dirname(os.path.abspath(__file__))
NAMES = {torch.float32: "F32", torch.float64: "F64", torch.int64: "I64", torch.int32: "I32",
         torch.uint8: "U8"}


def values(*shape, low=-1.0, high=1.0):
    """Uniform doubles that are exact in single precision; call seed() once in each case first."""
    return (low + (high - low) * torch.rand(shape, dtype=torch.float64)).float().double()


def nchw(x):
    """(N,H,W,C) -> (N,C,H,W)"""
    return x.permute(0, 3, 1, 2)


def nhwc(x):
    """(N,C,H,W) -> (N,H,W,C)"""
    return x.permute(0, 2, 3, 1)


def seed(text):
    """So that a case's numbers do not depend on the cases before it."""
    torch.manual_seed(zlib.crc32(text.encode()))


def stored(x):
    """A contiguous copy in the smallest type that holds the values of x."""
    x = x.detach().contiguous()
    if x.dtype == torch.float64 and torch.equal(x.float().double(), x):
        x = x.float()
    return x


def write(path, tensors, metadata):
    """A safetensors file, byte for byte the same every time."""
    header, blobs, at = {"__metadata__": metadata}, [], 0
    for name, x in tensors.items():
        blob = x.numpy().tobytes()
        header[name] = {"dtype": NAMES[x.dtype], "shape": list(x.shape),
                        "data_offsets": [at, at + len(blob)]}
        blobs.append(blob)
        at += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def main():
    wanted, made, total = set(sys.argv[1:]), set(), 0
    sys.path.insert(0, HERE)

    def add(op, case, attrs=None, inputs=(), outputs=(), inout=None):
        nonlocal total
        if wanted and op not in wanted:
            return
        tensors = {f"in{i}": stored(x) for i, x in enumerate(inputs) if x is not None}
        tensors.update({f"out{i}": stored(x) for i, x in enumerate(outputs) if x is not None})
        name = f"{op}__{case}.safetensors"
        if name in made:
            raise SystemExit(f"two cases are called {name}")
        made.add(name)
        path = os.path.join(HERE, "ops", name)
        write(path, tensors, {"op": op, "attrs": json.dumps(attrs or {}, sort_keys=True),
                              "n_in": str(len(inputs)), "n_out": str(len(outputs)),
                              "inout": json.dumps({str(k): v for k, v in (inout or {}).items()})})
        total += os.path.getsize(path)

    os.makedirs(os.path.join(HERE, "ops"), exist_ok=True)
    for module in sorted(glob.glob(os.path.join(HERE, "ops_*.py"))):
        importlib.import_module(os.path.basename(module)[:-3]).cases(add)
    print(f"{len(made)} files, {total} bytes")
    if not wanted:
        for stale in sorted(set(os.listdir(os.path.join(HERE, "ops"))) - made):
            print(f"no case makes {stale}")


if __name__ == "__main__":
    main()
