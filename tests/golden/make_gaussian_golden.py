#!/usr/bin/env python3
"""Makes tests/golden/gaussian: torchvision's gaussian_blur of 8-bit pictures.

    make_gaussian_golden.py [DIR]

    blurs.txt   one case a line: SEED W H SIGMA STEP OFFSET
    blurs.bin   every STEPth byte of each result, from OFFSET on

The pictures are those of make_image_golden.py, the kernel reaches to 3 sigma, and sizes are larger
than that because torchvision refuses to reflect more than once. Needs torchvision and NumPy."""
import math
import pathlib
import sys

import numpy as np
import torch
from torchvision.transforms import functional as F

from make_image_golden import picture

SIZES = [(24, 24), (17, 31), (64, 9), (6, 70), (224, 60)]
SIGMAS = [0.1, 0.33, 0.5, 0.77, 1.0, 1.3, 1.7, 2.0, 3.3, 5.0, 7.9]


def main():
    here = pathlib.Path(__file__).parent
    target = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here / "gaussian"
    target.mkdir(parents=True, exist_ok=True)
    lines, data = [], bytearray()
    for seed, size in enumerate(SIZES * 3):
        for sigma in SIGMAS:
            radius = math.ceil(3 * np.float32(sigma))
            if radius >= min(size):
                continue
            image = torch.from_numpy(np.array(picture(seed, *size))).permute(2, 0, 1)
            blurred = F.gaussian_blur(image, 2 * radius + 1, sigma)
            raw = blurred.permute(1, 2, 0).contiguous().numpy().tobytes()
            step = len(raw) // 150 | 1
            lines.append(f"{seed} {size[0]} {size[1]} {sigma!r} {step} {len(data)}")
            data += raw[::step]
    (target / "blurs.txt").write_text("\n".join(lines) + "\n")
    (target / "blurs.bin").write_bytes(data)
    print(f"torch {torch.__version__}: {len(lines)} cases, {len(data)} bytes")


if __name__ == "__main__":
    main()
