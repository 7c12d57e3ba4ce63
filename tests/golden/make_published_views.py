"""Means over the crops of the published SSLight recipes, drawn by torchvision's RandomResizedCrop.

    python3 tests/golden/make_published_views.py [PLANS]

prints, for each recipe, the means that core/report/published_recipes.c has, with their standard errors.
Images are 500 x 375 px, which is what most of ImageNet has. Each plan is 2 global views and all local
views of one image. Definitions stand in core/report/view_numbers.h; everything here is computed anew,
overlaps on a grid of pixels. Needs torch, torchvision and numpy.
"""

import sys

import numpy as np
import torch
from torchvision.transforms import RandomResizedCrop

WIDTH, HEIGHT = 500, 375
RECIPES = {  # name: (global scale, number of local views, local size, local scale)
    "CNN baseline": ((0.14, 1.0), 6, 96, (0.05, 0.14)),
    "CNN SSLight": ((0.3, 1.0), 6, 128, (0.05, 0.3)),
    "ViT baseline": ((0.25, 1.0), 10, 96, (0.05, 0.25)),
    "ViT SSLight": ((0.3, 1.0), 10, 128, (0.05, 0.3)),
}


def crop(scale):
    """(top, left, height, width) of one crop."""
    image = torch.empty(1, HEIGHT, WIDTH, device="meta")
    return RandomResizedCrop.get_params(image, scale, (3 / 4, 4 / 3))


def mask(box):
    pixels = np.zeros((HEIGHT, WIDTH), dtype=bool)
    top, left, height, width = box
    pixels[top : top + height, left : left + width] = True
    return pixels


def plan(recipe):
    """The means over the views or pairs of one plan, in the order of WISPI_MEAN_..."""
    global_scale, n_local, size, local_scale = recipe
    globals_ = [crop(global_scale) for _ in range(2)]
    locals_ = [crop(local_scale) for _ in range(n_local)]
    image = WIDTH * HEIGHT
    g = np.array([box[2] * box[3] for box in globals_], dtype=float)
    l = np.array([box[2] * box[3] for box in locals_], dtype=float)
    ps_g, ps_l = g / 224**2, l / size**2
    ratio = ps_l[:, None] / ps_g[None, :]
    masks = [mask(box) for box in globals_]
    shared = np.array([[np.count_nonzero(m[b[0] : b[0] + b[2], b[1] : b[1] + b[3]]) for m in masks] for b in locals_])
    both = np.count_nonzero(masks[0] & masks[1])
    return [
        g.mean() / image,
        l.mean() / image,
        (l[:, None] / g[None, :]).mean(),
        ps_g.mean(),
        ps_l.mean(),
        ratio.mean(),
        np.sqrt(ratio).mean(),
        (shared / l[:, None]).mean(),
        (shared == 0).mean(),
        both / np.count_nonzero(masks[0] | masks[1]),
        (ps_g < 1).mean(),
        (ps_l < 1).mean(),
        2 * 224**2 + n_local * size**2,
    ]


def main():
    plans = int(sys.argv[1]) if len(sys.argv) > 1 else 20000
    torch.manual_seed(0)
    for name, recipe in RECIPES.items():
        values = np.array([plan(recipe) for _ in range(plans)])
        print(name)
        print("  means ", ", ".join(f"{x:.6g}" for x in values.mean(0)))
        print("  errors", ", ".join(f"{x:.2g}" for x in values.std(0) / plans**0.5))


main()
