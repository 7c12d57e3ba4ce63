"""Values that Python and C compute alike, so that weights and images need not be stored.

Philox4x32-10 as in wisp/rng.h: element i of the tensor called `name` comes from word i of the
sequence of the key derive(stream(0, 1000), fnv1a64(name), 0), as u = (word >> 8) / 2^24 in [0, 1),
and is low + (high - low) * u in double precision, rounded to single. tests/formula.h is the same
in C, including the rule that gives each parameter its range.
"""

import numpy as np
import torch

M32 = np.uint64(0xFFFFFFFF)


def philox(counter, key):
    """counter: 4 arrays (or numbers), key: 2 numbers -> 4 arrays, all uint64 below 2^32."""
    c = [np.asarray(x, dtype=np.uint64) & M32 for x in counter]
    k0, k1 = int(key[0]), int(key[1])
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k0), p1 & M32,
             (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k1), p0 & M32]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c


def derive(key, a, b=0):
    out = [int(x) for x in philox((a & 0xFFFFFFFF, a >> 32, b & 0xFFFFFFFF, b >> 32), key)]
    return out[0] ^ out[2], out[1] ^ out[3]


def fnv1a64(text):
    h = 0xCBF29CE484222325
    for byte in text.encode():
        h = ((h ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return h


def words(name, count):
    key = derive(derive((0, 0), 1000), fnv1a64(name))
    blocks = np.arange((count + 3) // 4, dtype=np.uint64)
    zero = np.zeros_like(blocks)
    return np.stack(philox((blocks, zero, zero, zero), key), 1).reshape(-1)[:count]


def uniform(name, shape, low, high):
    """A double tensor of single-precision values."""
    count = int(np.prod(shape)) if len(shape) else 1
    u = (words(name, count) >> np.uint64(8)).astype(np.float64) / 16777216.0
    return torch.from_numpy((low + (high - low) * u).astype(np.float32).astype(np.float64)).view(
        tuple(shape))


def parameter_range(name, shape):
    """He-like for convolutions, PyTorch's default for linear layers, plausible for norms and for
    position embeddings."""
    if name.endswith("running_mean") or name.endswith("bias"):
        return -0.1, 0.1
    if name.endswith("running_var"):
        return 0.5, 1.5
    if name.endswith("weight_g"):
        return 1.0, 1.0
    if len(shape) == 4:
        bound = np.sqrt(6.0 / float(shape[1] * shape[2] * shape[3]))
        return -bound, bound
    if len(shape) == 3:
        return -1.0, 1.0
    if len(shape) == 2:
        bound = 1.0 / np.sqrt(float(shape[1]))
        return -bound, bound
    return 0.8, 1.2  # scale of a norm


def fill(module, prefix=""):
    """Every parameter and buffer of a torch module, by its name."""
    with torch.no_grad():
        for name, x in module.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                x.copy_(uniform(prefix + name, x.shape, *parameter_range(name, x.shape)))
    return module
