"""Prints what tests/unit/test_embedding_statistics.c expects: NumPy's singular values and deviations.

    python3 tests/golden/embedding_statistics.py
"""
import numpy as np


def embeddings(rows, dim, shift):
    i, d = np.meshgrid(np.arange(rows), np.arange(dim), indexing="ij")
    values = ((i * 7919 + d * 104729 + i * d * 31) % 1009).astype(np.float32) / np.float32(1009)
    return (values - np.float32(shift)).astype(np.float64)


for rows, dim, shift in ((40, 12, 0), (12, 40, 0), (40, 12, 0.5), (200, 64, 0.5)):
    x = embeddings(rows, dim, shift)
    s = np.linalg.svd(x, compute_uv=False)
    p = s / s.sum()
    p = p[p > 0]
    z = x / np.linalg.norm(x, axis=1, keepdims=True)
    std = z.std(axis=0).mean() * np.sqrt(dim)
    print(f"{{{rows}, {dim}, {shift}, {std:.9f}, {np.exp(-(p * np.log(p)).sum()):.9f}}},")
