#!/usr/bin/env python3
"""The views of `wisp bench views PHOTOS --memory` with OpenCV's Python package, as somebody writes them who
wants speed: JPEG bytes in memory to normalised f32 batches.

Shrinking by INTER_AREA and enlarging by INTER_CUBIC (OpenCV's bicubic has no antialiasing), brightness,
contrast and solarization by tables, hue through 8-bit HSV with a table, Gaussian blur with the kernel size that
OpenCV chooses, normalisation by one table from bytes to floats straight into the batch, which stays (B,H,W,3).
One thread a process; several processes work on their own and hand nothing over, which flatters them.
Prints one JSON line. Needs opencv-python-headless and numpy.
"""
import argparse
import json
import math
import multiprocessing
import pathlib
import random
import time

import cv2
import numpy as np

MEAN, STD = np.float32((0.485, 0.456, 0.406)), np.float32((0.229, 0.224, 0.225))
BYTES = np.arange(256, dtype=np.float32)
NORMAL = ((BYTES[:, None] / 255 - MEAN) / STD).astype(np.float32).reshape(256, 1, 3)
SOLAR = np.where(np.arange(256) < 128, np.arange(256), 255 - np.arange(256)).astype(np.uint8)
HUES = np.arange(256, dtype=np.int32)


def draw_box(height, width, scale):
    for _ in range(10):
        area = height * width * random.uniform(*scale)
        ratio = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return random.randint(0, height - h), random.randint(0, width - w), h, w
    side = min(height, width)
    return (height - side) // 2, (width - side) // 2, side, side


def brightness(image):
    return cv2.LUT(image, np.clip(BYTES * random.uniform(0.6, 1.4), 0, 255).astype(np.uint8))


def contrast(image):
    factor, mean = random.uniform(0.6, 1.4), cv2.mean(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))[0]
    return cv2.LUT(image, np.clip(BYTES * factor + mean * (1 - factor), 0, 255).astype(np.uint8))


def saturation(image):
    factor = random.uniform(0.8, 1.2)
    gray = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return cv2.addWeighted(image, factor, gray, 1 - factor, 0)


def hue(image):
    h, s, v = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2HSV))
    h = cv2.LUT(h, ((HUES + round(180 * random.uniform(-0.1, 0.1))) % 180).astype(np.uint8))
    return cv2.cvtColor(cv2.merge((h, s, v)), cv2.COLOR_HSV2RGB)


JITTER = [brightness, contrast, saturation, hue]


def make_view(image, size, scale, blur, solarize, out):
    y, x, h, w = draw_box(image.shape[0], image.shape[1], scale)
    how = cv2.INTER_AREA if h >= size and w >= size else cv2.INTER_CUBIC
    view = cv2.resize(image[y:y + h, x:x + w], (size, size), interpolation=how)
    if random.random() < 0.5:
        view = cv2.flip(view, 1)
    if random.random() < 0.8:
        for change in random.sample(JITTER, 4):
            view = change(view)
    if random.random() < 0.2:
        view = cv2.cvtColor(cv2.cvtColor(view, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if random.random() < blur:
        view = cv2.GaussianBlur(view, (0, 0), random.uniform(0.1, 2.0))
    if random.random() < solarize:
        view = cv2.LUT(view, SOLAR)
    cv2.LUT(view, NORMAL, dst=out)


def run(files, a, seed, results):
    cv2.setNumThreads(0)
    random.seed(seed)
    chains = [(224, a.global_scale, 1.0, 0.0), (224, a.global_scale, 0.1, 0.2)]
    chains += [(96, a.local_scale, 0.5, 0.0)] * a.locals
    batch = [np.empty((a.batch, size, size, 3), np.float32) for size, *_ in chains]
    images, start = 0, None
    while start is None or time.perf_counter() - start < a.seconds:
        for k in range(a.batch):
            data = np.frombuffer(files[random.randrange(len(files))], np.uint8)
            image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
            for views, (size, scale, blur, solarize) in zip(batch, chains):
                make_view(image, size, scale, blur, solarize, views[k])
        images += a.batch
        if start is None:
            images, start = 0, time.perf_counter()
    results.put((images, time.perf_counter() - start))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=pathlib.Path)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--locals", type=int, default=6)
    parser.add_argument("--global-scale", type=float, nargs=2, default=(0.4, 1.0))
    parser.add_argument("--local-scale", type=float, nargs=2, default=(0.05, 0.4))
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=5)
    a = parser.parse_args()
    files = [f.read_bytes() for f in sorted(a.photos.rglob("*")) if f.suffix.lower() in (".jpg", ".jpeg")]
    if not files:
        parser.error(f"{a.photos} holds no .jpg or .jpeg files")
    results = multiprocessing.Queue()
    workers = [multiprocessing.Process(target=run, args=(files, a, k, results)) for k in range(a.workers)]
    for worker in workers:
        worker.start()
    rate = sum(images / seconds for images, seconds in (results.get() for _ in workers))
    for worker in workers:
        worker.join()
    print(json.dumps({"workers": a.workers, "images_per_s": rate}))


if __name__ == "__main__":
    main()
