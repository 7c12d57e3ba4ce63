#!/usr/bin/env python3
"""The views of `wisp bench views PHOTOS --memory` as torchvision makes them: JPEG bytes in memory to
normalised f32 batches, random resized crops with flip, colour jitter, gray, blur and solarization.

--path pil     Pillow decodes, transforms work on Pillow's images: DINO's own code, and the usual way
--path tensor  torchvision.io decodes, transforms (v1) work on tensors of bytes
--path v2      the same with torchvision.transforms.v2

Batches come from a DataLoader, in this process (--workers 0) or from workers. The clock runs from the
end of the first batches to the last. Prints one JSON line. Needs torch, torchvision and Pillow.
"""
import argparse
import io
import json
import pathlib
import random
import time

import torch
from PIL import Image, ImageFilter, ImageOps
from torchvision import transforms as v1
from torchvision.io import ImageReadMode, decode_jpeg

try:
    from torchvision.transforms import v2
except ImportError:  # before 0.15
    v2 = None

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class PillowBlur:
    def __init__(self, probability):
        self.probability = probability

    def __call__(self, image):
        if random.random() >= self.probability:
            return image
        return image.filter(ImageFilter.GaussianBlur(radius=random.uniform(0.1, 2.0)))


class PillowSolarize:
    def __init__(self, probability):
        self.probability = probability

    def __call__(self, image):
        return ImageOps.solarize(image) if random.random() < self.probability else image


def chain(path, size, scale, blur, solarize):
    """One view: `blur` and `solarize` are probabilities."""
    t = v2 if path == "v2" else v1
    antialias = {} if path == "pil" else {"antialias": True}
    steps = [
        t.RandomResizedCrop(size, scale=scale, interpolation=t.InterpolationMode.BICUBIC, **antialias),
        t.RandomHorizontalFlip(0.5),
        t.RandomApply([t.ColorJitter(0.4, 0.4, 0.2, 0.1)], 0.8),
        t.RandomGrayscale(0.2),
    ]
    if path == "pil":
        steps += [PillowBlur(blur), PillowSolarize(solarize), t.ToTensor()]
    else:
        # About three sigma to each side at the largest sigma, and never more than the view.
        steps += [t.RandomApply([t.GaussianBlur(13, (0.1, 2.0))], blur)]
        steps += [t.RandomSolarize(128, solarize)] if solarize else []
        steps += [t.ToDtype(torch.float32, scale=True) if path == "v2" else t.ConvertImageDtype(torch.float32)]
    return t.Compose(steps + [t.Normalize(MEAN, STD)])


class Views(torch.utils.data.Dataset):
    def __init__(self, files, a):
        self.files, self.path = files, a.path
        self.chains = [chain(a.path, 224, a.global_scale, 1.0, 0.0), chain(a.path, 224, a.global_scale, 0.1, 0.2)]
        self.chains += [chain(a.path, 96, a.local_scale, 0.5, 0.0)] * a.locals

    def __len__(self):
        return 1 << 30

    def __getitem__(self, index):
        data = self.files[index * 7919 % len(self.files)]
        if self.path == "pil":
            image = Image.open(io.BytesIO(data)).convert("RGB")
        else:
            image = decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8), ImageReadMode.RGB)
        return [make(image) for make in self.chains]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=pathlib.Path)
    parser.add_argument("--path", default="pil", choices=["pil", "tensor", "v2"])
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--locals", type=int, default=6)
    parser.add_argument("--global-scale", type=float, nargs=2, default=(0.4, 1.0))
    parser.add_argument("--local-scale", type=float, nargs=2, default=(0.05, 0.4))
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=5)
    a = parser.parse_args()
    torch.set_num_threads(1)
    files = [f.read_bytes() for f in sorted(a.photos.rglob("*")) if f.suffix.lower() in (".jpg", ".jpeg")]
    if not files:
        parser.error(f"{a.photos} holds no .jpg or .jpeg files")
    loader = iter(torch.utils.data.DataLoader(Views(files, a), batch_size=a.batch, num_workers=a.workers))
    for _ in range(max(1, 2 * a.workers)):
        next(loader)
    images, start = 0, time.perf_counter()
    while time.perf_counter() - start < a.seconds:
        images += len(next(loader)[0])
    rate = images / (time.perf_counter() - start)
    print(json.dumps({"path": a.path, "workers": a.workers, "images_per_s": rate, "images": images}))


if __name__ == "__main__":
    main()
