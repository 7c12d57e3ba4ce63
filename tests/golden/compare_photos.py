#!/usr/bin/env python3
"""Compares wisp's image operations with Pillow and torchvision on real photographs.

    compare_photos.py DIR BUILD [--limit N]

DIR is searched for .jpg and .png files; BUILD holds the program view_dump (somewhere below). For
each operation: files, values that differ, and the largest absolute difference of an 8-bit value,
which must not exceed 1. Needs Pillow, torchvision and NumPy."""
import argparse
import pathlib
import random
import subprocess
import sys

import numpy as np
import PIL
from PIL import Image, ImageFilter, ImageOps
from torchvision.transforms import functional as F
from torchvision.transforms import InterpolationMode

MODES = {0: InterpolationMode.BICUBIC, 1: InterpolationMode.BILINEAR, 2: InterpolationMode.LANCZOS}


class ViewDump:
    """One running view_dump."""

    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __call__(self, path, *fields):
        line = "\t".join([str(path), *fields]) + "\n"
        self.process.stdin.write(line.encode())
        self.process.stdin.flush()
        head = self.process.stdout.readline().decode()
        if not head or head.startswith("error"):
            raise RuntimeError(f"{line.strip()}: {head.strip() or 'view_dump ended'}")
        width, height = map(int, head.split())
        data = self.process.stdout.read(width * height * 3)
        return np.frombuffer(data, np.uint8).reshape(height, width, 3)


def resized(image, size, mode):
    """Pillow's resize with the pass order of version 13, whatever version is installed."""
    filter = Image.Resampling[mode.name]
    (width, height), (out_w, out_h) = image.size, size
    fewer_rows, fewer_columns = height - out_h, width - out_w
    if fewer_rows > 0 and fewer_rows > 2 * fewer_columns:
        return image.resize((width, out_h), filter).resize(size, filter)
    return image.resize((out_w, height), filter).resize(size, filter)


def drafts(path, rng):
    """Pictures that the JPEG library makes smaller, whole and in part."""
    for shrink in (2, 4, 8):
        small = Image.open(path)
        if small.format != "JPEG" or small.mode == "CMYK":
            return
        small.draft(small.mode, (small.width // shrink, small.height // shrink))
        small = small.convert("RGB")
        w, h = rng.randint(1, small.width), rng.randint(1, small.height)
        x, y = rng.randint(0, small.width - w), rng.randint(0, small.height - h)
        yield f"decode at 1/{shrink}", small, [f"shrink={shrink}"]
        yield (f"part of it at 1/{shrink}", F.crop(small, y, x, h, w),
               [f"shrink={shrink}", f"box={x},{y},{w},{h}"])


def chain_of_part(image, rng):
    """One view as a recipe makes it: a crop, resized, and everything that may be done to it."""
    width, height = image.size
    w, h = rng.randint(1, width), rng.randint(1, height)
    x, y = rng.randint(0, width - w), rng.randint(0, height - h)
    a, b, c = (rng.uniform(0.6, 1.4) for _ in range(3))
    shift, sigma = rng.uniform(-0.1, 0.1), rng.uniform(0.1, 2.0)
    view = F.hflip(resized(F.crop(image, y, x, h, w), (96, 96), InterpolationMode.BICUBIC))
    view = F.adjust_hue(F.adjust_contrast(F.adjust_saturation(F.adjust_brightness(view, a), b), c),
                        shift)
    view = ImageOps.solarize(view.filter(ImageFilter.GaussianBlur(sigma)), 128)
    return view, [f"box={x},{y},{w},{h}", "size=96,96", "flip=1", f"op=1,{a!r}", f"op=3,{b!r}",
                  f"op=2,{c!r}", f"op=4,{shift!r}", f"op=6,{sigma!r}", "op=7,128"]


def cases(path, image, rng):
    """(name, Pillow's result, request to view_dump); the first is the decode itself."""
    width, height = image.size
    yield "decode", image, []
    yield "decode upright", ImageOps.exif_transpose(Image.open(path)).convert("RGB"), ["upright=1"]
    yield from drafts(path, rng)
    for _ in range(4):
        yield "part, whole chain", *chain_of_part(image, rng)
    for kind, mode in MODES.items():
        w, h = rng.randint(1, width), rng.randint(1, height)
        x, y = rng.randint(0, width - w), rng.randint(0, height - h)
        out_w, out_h = rng.choice([(224, 224), (96, 96), (128, 128), (33, 57)])
        cropped = F.crop(image, y, x, h, w)
        yield (f"crop and resize, {mode.value}", resized(cropped, (out_w, out_h), mode),
               [f"box={x},{y},{w},{h}", f"size={out_w},{out_h}", f"filter={kind}"])
    if int(PIL.__version__.split(".")[0]) >= 13:
        yield ("torchvision resized_crop",
               F.resized_crop(image, y, x, h, w, [out_h, out_w], mode),
               [f"box={x},{y},{w},{h}", f"size={out_w},{out_h}", f"filter={kind}"])
    # Taken from the resized picture, as views are, so that a mistake there would show here too.
    small = resized(image, (160, 160), InterpolationMode.BICUBIC)
    size = "size=160,160"
    yield "flip", F.hflip(small), [size, "flip=1"]
    factor = rng.uniform(0.2, 1.8)
    yield "brightness", F.adjust_brightness(small, factor), [size, f"op=1,{factor!r}"]
    yield "contrast", F.adjust_contrast(small, factor), [size, f"op=2,{factor!r}"]
    yield "saturation", F.adjust_saturation(small, factor), [size, f"op=3,{factor!r}"]
    shift = rng.uniform(-0.5, 0.5)
    yield "hue", F.adjust_hue(small, shift), [size, f"op=4,{shift!r}"]
    yield "gray", F.rgb_to_grayscale(small, 3), [size, "op=5,0"]
    sigma = rng.uniform(0.1, 2.0)
    yield "blur", small.filter(ImageFilter.GaussianBlur(sigma)), [size, f"op=6,{sigma!r}"]
    wide = rng.uniform(2.0, 40.0)
    yield "blur, wide", small.filter(ImageFilter.GaussianBlur(wide)), [size, f"op=6,{wide!r}"]
    yield "solarize", ImageOps.solarize(small, 128), [size, "op=7,128"]
    chain = ImageOps.solarize(F.adjust_hue(F.adjust_saturation(F.adjust_contrast(
        F.adjust_brightness(F.hflip(small), factor), factor), factor), shift)
        .filter(ImageFilter.GaussianBlur(sigma)), 128)
    yield "whole chain", chain, [size, "flip=1", f"op=1,{factor!r}", f"op=2,{factor!r}",
                                 f"op=3,{factor!r}", f"op=4,{shift!r}", f"op=6,{sigma!r}",
                                 "op=7,128"]
    for resize, crop in ((256, 224), (97, 64)):
        whole = F.resize(image, resize, InterpolationMode.BICUBIC)
        yield "evaluation view", F.center_crop(whole, crop), [f"eval={resize},{crop}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=pathlib.Path)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--limit", type=int, default=0)
    args = parser.parse_args()
    program = next((p for p in args.build.rglob("view_dump") if p.is_file()), None)
    if program is None:
        sys.exit(f"no program view_dump below {args.build}; build it first")
    files = sorted(p for p in args.dir.rglob("*") if p.suffix.lower() in {".jpg", ".jpeg", ".png"})
    files = files[:args.limit] if args.limit else files
    if not files:
        sys.exit(f"no images below {args.dir}")
    dump, rng, totals = ViewDump(program), random.Random(1), {}
    for path in files:
        image = Image.open(path).convert("RGB")
        for name, expected, request in cases(path, image, rng):
            a = np.asarray(expected).astype(np.int16)
            b = dump(path, *request).astype(np.int16)
            if a.shape != b.shape:
                sys.exit(f"{path}, {name}: shape {b.shape} instead of {a.shape}")
            total = totals.setdefault(name, [0, 0, 0, 0])
            gap = np.abs(a - b)
            total[0] += 1
            total[1] += gap.size
            total[2] += int((gap > 0).sum())
            total[3] = max(total[3], int(gap.max()))
    print(f"Pillow {PIL.__version__}")
    print(f"{'operation':28} {'images':>7} {'values':>11} {'differ':>8} {'largest':>8}")
    for name, (images, values, differ, largest) in totals.items():
        print(f"{name:28} {images:7} {values:11} {differ:8} {largest:8}")
    return max(t[3] for t in totals.values()) > 1


if __name__ == "__main__":
    sys.exit(main())
