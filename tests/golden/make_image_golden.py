#!/usr/bin/env python3
"""Makes tests/golden/image: what Pillow and torchvision give for image files and view operations.

    make_image_golden.py [DIR]

Source pictures are drawn from an integer hash that the C test repeats, so inputs take no room.
Large results are stored as every nth byte plus a hash over all of them. The files are

    views.txt   one case a line: see `write_view`
    pixels.bin  the stored bytes of all cases, in order
    decode.txt  one image file a line: NAME W H KEPT, see `Store`
    files/      small image files
    numbers.bin normalised values: 3 x 256 f32, then 3 x 256 bf16

Needs Pillow 13 or later (it decides the order of the resize passes), torchvision and NumPy."""
import io
import pathlib
import struct
import sys
import zlib

import numpy as np
import PIL
import torch
from PIL import Image, ImageFilter, ImageOps
from torchvision.transforms import functional as F
from torchvision.transforms import InterpolationMode

BICUBIC, BILINEAR, LANCZOS = 0, 1, 2
FILTERS = {BICUBIC: Image.BICUBIC, BILINEAR: Image.BILINEAR, LANCZOS: Image.LANCZOS}
BRIGHTNESS, CONTRAST, SATURATION, HUE, GRAY, BLUR, SOLARIZE = range(1, 8)
OPS = {
    BRIGHTNESS: F.adjust_brightness,
    CONTRAST: F.adjust_contrast,
    SATURATION: F.adjust_saturation,
    HUE: F.adjust_hue,
    GRAY: lambda image, _: F.rgb_to_grayscale(image, 3),
    BLUR: lambda image, sigma: image.filter(ImageFilter.GaussianBlur(sigma)),
    SOLARIZE: lambda image, threshold: ImageOps.solarize(image, threshold),
}


def picture(seed, width, height):
    """Noise, ramps, or extremes with hard edges, by seed modulo 3."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    y, x, c = (a.astype(np.uint32) for a in (y, x, c))
    with np.errstate(over="ignore"):
        n = np.uint32(seed) * np.uint32(0x9E3779B1) + y * np.uint32(0x85EBCA77) \
            + x * np.uint32(0xC2B2AE3D) + c * np.uint32(0x27D4EB2F)
        n ^= n >> np.uint32(15)
        n *= np.uint32(0x2C1B3C6D)
        n ^= n >> np.uint32(12)
        n *= np.uint32(0x297A2D39)
        n ^= n >> np.uint32(15)
    noise = n >> np.uint32(24)
    if seed % 3 == 0:
        v = noise
    elif seed % 3 == 1:
        v = (x * 3 + y * 2 + c * 60 + (noise & 15)) & 255
    else:
        v = np.where(((x // 5 + y // 3 + c) & 1) == 1, 255, noise & 3)
    return Image.fromarray(v.astype(np.uint8))


def hash_bytes(data):
    """Sum of (byte + 1) times an odd number that depends on its place, modulo 2^64."""
    v = np.frombuffer(data, np.uint8).astype(np.uint64)
    place = np.arange(v.size, dtype=np.uint64)
    with np.errstate(over="ignore"):
        return int(((v + np.uint64(1)) * (place * np.uint64(0x9E3779B97F4A7C15) | np.uint64(1)))
                   .sum(dtype=np.uint64))


class Store:
    """pixels.bin, and the columns by which a case finds its bytes: KEPT = STEP OFFSET HASH."""

    def __init__(self):
        self.data = bytearray()

    def keep(self, image):
        raw = np.asarray(image).tobytes()
        step = 1 if len(raw) <= 700 else len(raw) // 300 | 1
        offset = len(self.data)
        self.data += raw[::step]
        return f"{step} {offset} {hash_bytes(raw)}"


def write_view(lines, store, seed, size, box, out, filter=BICUBIC, flip=0, ops=()):
    """view SEED W H  X Y W H  OUT_W OUT_H FILTER FLIP N_OPS {KIND PARAMETER} KEPT"""
    x, y, w, h = box
    image = picture(seed, *size).crop((x, y, x + w, y + h)).resize(out, FILTERS[filter])
    image = F.hflip(image) if flip else image
    for kind, parameter in ops:
        image = OPS[kind](image, parameter)
    fields = [seed, *size, *box, *out, filter, flip, len(ops)]
    fields += [f"{kind} {parameter!r}" for kind, parameter in ops]
    lines.append(" ".join(["view", *map(str, fields), store.keep(image)]))


def write_eval(lines, store, seed, size, resize, crop):
    """eval SEED W H RESIZE SIZE KEPT"""
    image = F.resize(picture(seed, *size), resize, InterpolationMode.BICUBIC)
    image = F.center_crop(image, crop)
    lines.append(f"eval {seed} {size[0]} {size[1]} {resize} {crop} {store.keep(image)}")


def write_cube(lines, kind, parameter):
    """cube KIND PARAMETER HASH: the operation on all 2^24 colours, in order."""
    v = np.arange(1 << 24, dtype=np.uint32).reshape(4096, 4096)
    colours = np.stack([v >> 16, v >> 8 & 255, v & 255], -1).astype(np.uint8)
    result = OPS[kind](Image.fromarray(colours), parameter)
    lines.append(f"cube {kind} {parameter!r} {hash_bytes(np.asarray(result).tobytes())}")


def view_cases(store):
    lines = []
    whole = lambda size: (0, 0, *size)
    sizes = [(1, 1), (1, 7), (7, 1), (2, 3), (17, 5), (5, 17), (32, 32), (63, 40)]
    for i, size in enumerate(sizes):
        for filter in FILTERS:
            for out in [(1, 1), (8, 8), (5, 13), (16, 9), (31, 30)]:
                write_view(lines, store, i, size, whole(size), out, filter, flip=(i + filter) % 2)
    for seed in range(3):
        for filter in FILTERS:
            size = (500, 375)
            write_view(lines, store, seed, size, (13, 40, 411, 200), (224, 224), filter)
            write_view(lines, store, seed, size, (100, 7, 90, 350), (96, 96), filter, flip=1)
            write_view(lines, store, seed, size, (490, 365, 10, 10), (128, 128), filter)
            write_view(lines, store, seed, size, (499, 0, 1, 375), (24, 24), filter)
            write_view(lines, store, seed, size, (0, 374, 500, 1), (24, 24), filter)
    write_view(lines, store, 4, (1280, 96), (0, 0, 1280, 96), (32, 32))
    write_view(lines, store, 5, (3, 2000), (0, 0, 3, 2000), (16, 16), LANCZOS)
    for seed, size in enumerate([(24, 24), (1, 1), (1, 7), (9, 2), (31, 20), (30, 31)]):
        for kind in (BRIGHTNESS, CONTRAST, SATURATION):
            for factor in (0.0, 0.37, 1.0, 1.4, 2.9):
                write_view(lines, store, seed, size, whole(size), size, ops=[(kind, factor)])
        for shift in (-0.5, -0.1, 0.0, 0.003, 0.1, 0.5):
            write_view(lines, store, seed, size, whole(size), size, ops=[(HUE, shift)])
        for sigma in (0.0, 0.1, 0.5, 0.9, 1.3, 1.7, 2.0, 3.3, 7.5, 40.0):
            write_view(lines, store, seed, size, whole(size), size, ops=[(BLUR, sigma)])
        for threshold in (0, 1, 128, 255, 256):
            write_view(lines, store, seed, size, whole(size), size, ops=[(SOLARIZE, threshold)])
        write_view(lines, store, seed, size, whole(size), size, ops=[(GRAY, 0)])
        write_view(lines, store, seed, size, whole(size), size, flip=1)
    for sigma in (0.1, 0.6, 1.1, 1.6, 2.0, 5.0, 23.0):
        write_view(lines, store, 2, (300, 280), (20, 10, 250, 260), (224, 224), ops=[(BLUR, sigma)])
    chain = [(HUE, -0.07), (BRIGHTNESS, 1.31), (SATURATION, 0.85), (CONTRAST, 0.66), (GRAY, 0),
             (BLUR, 1.23), (SOLARIZE, 128)]
    for n in range(2, len(chain) + 1):
        write_view(lines, store, n, (120, 90), (3, 5, 100, 77), (48, 48), flip=n % 2, ops=chain[:n])
        write_view(lines, store, n, (120, 90), (3, 5, 100, 77), (32, 48), ops=chain[n:] + chain[:n])
    for seed, size in enumerate([(500, 375), (375, 500), (224, 224), (33, 32), (71, 300), (8, 5)]):
        for resize, crop in ((256, 224), (32, 32), (37, 24), (64, 17)):
            write_eval(lines, store, seed, size, resize, crop)
    for kind, parameter in ((HUE, 0.1), (HUE, -0.37), (SATURATION, 0.83), (SATURATION, 1.9),
                            (GRAY, 0)):
        write_cube(lines, kind, parameter)
    return lines


def encode_png(rows, width, height, depth, colour, palette=None, alpha=None, interlace=False):
    """`rows`: samples as (height, width, channels); written without filters."""
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    def pack(part):
        out = bytearray()
        for row in part.reshape(part.shape[0], -1):
            if depth == 16:
                raw = row.astype(">u2").tobytes()
            elif depth == 8:
                raw = row.astype(np.uint8).tobytes()
            else:
                bits = (row[:, None] >> np.arange(depth - 1, -1, -1)) & 1
                raw = np.packbits(bits.astype(np.uint8).ravel()).tobytes()
            out += b"\0" + raw
        return bytes(out)

    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
              (0, 1, 1, 2)] if interlace else [(0, 0, 1, 1)]
    parts = [rows[y::dy, x::dx] for x, y, dx, dy in passes]
    data = b"".join(pack(p) for p in parts if p.size)
    png = b"\x89PNG\r\n\x1a\n"
    png += chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))
    if palette is not None:
        png += chunk(b"PLTE", palette)
    if alpha is not None:
        png += chunk(b"tRNS", alpha)
    return png + chunk(b"IDAT", zlib.compress(data)) + chunk(b"tEXt", b"Comment\0x") + chunk(b"IEND", b"")


def png_files():
    width, height = 21, 13
    random = np.random.default_rng(5)

    def samples(depth, channels):
        return random.integers(0, 1 << depth, (height, width, channels))

    colours = {"gray": (0, 1, (1, 2, 4, 8, 16)), "rgb": (2, 3, (8, 16)),
               "palette": (3, 1, (1, 2, 4, 8)), "la": (4, 2, (8, 16)), "rgba": (6, 4, (8, 16))}
    for name, (colour, channels, depths) in colours.items():
        for depth in depths:
            for interlace in (False, True):
                palette = alpha = None
                if colour == 3:
                    palette = random.integers(0, 256, 3 << depth).astype(np.uint8).tobytes()
                    alpha = bytes([0, 128]) if depth > 1 else None
                data = encode_png(samples(depth, channels), width, height, depth, colour, palette,
                                  alpha, interlace)
                yield f"{name}{depth}{'_adam7' if interlace else ''}.png", data
    narrow = random.integers(0, 256, (9, 1, 3))
    yield "narrow_adam7.png", encode_png(narrow, 1, 9, 8, 2, interlace=True)
    beyond = np.array([[[0], [1], [2], [200]]])
    yield "palette_beyond.png", encode_png(beyond, 4, 1, 8, 3, bytes(range(10, 16)))


def jpeg_files():
    def encode(image, **options):
        out = io.BytesIO()
        image.save(out, "JPEG", **options)
        return out.getvalue()

    ramp, noise = picture(1, 37, 29), picture(3, 37, 29)
    mixed = Image.blend(ramp, noise, 0.2)
    for subsampling, name in enumerate(("444", "422", "420")):
        yield f"baseline_{name}.jpg", encode(mixed, quality=85, subsampling=subsampling)
        yield f"progressive_{name}.jpg", encode(mixed, quality=70, subsampling=subsampling,
                                                progressive=True)
    yield "optimised.jpg", encode(mixed, quality=40, optimize=True)
    yield "restarts.jpg", encode(mixed, quality=60, restart_marker_blocks=2)
    yield "as_rgb.jpg", encode(mixed, quality=90, keep_rgb=True)
    yield "gray.jpg", encode(mixed.convert("L"), quality=80)
    yield "gray_progressive.jpg", encode(mixed.convert("L"), quality=80, progressive=True)
    yield "one_pixel.jpg", encode(picture(0, 1, 1), quality=80)
    yield "odd_420.jpg", encode(picture(1, 17, 3), quality=95, subsampling=2)
    cmyk = Image.merge("CMYK", [*mixed.split(), noise.getchannel(0)])
    data = encode(cmyk, quality=80)
    yield "cmyk.jpg", data
    adobe = data.index(b"Adobe\0")  # the transform is the 12th byte of the segment; 2 means YCCK
    yield "ycck.jpg", data[:adobe + 11] + b"\2" + data[adobe + 12:]


def main():
    if int(PIL.__version__.split(".")[0]) < 13:
        sys.exit(f"Pillow {PIL.__version__} is too old; 13 or later is needed")
    here = pathlib.Path(__file__).parent
    target = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here / "image"
    (target / "files").mkdir(parents=True, exist_ok=True)
    store, decoded = Store(), []
    for name, data in [*png_files(), *jpeg_files()]:
        (target / "files" / name).write_bytes(data)
        image = Image.open(io.BytesIO(data)).convert("RGB")
        decoded.append(f"{name} {image.width} {image.height} {store.keep(image)}")
    views = view_cases(store)
    (target / "decode.txt").write_text("\n".join(decoded) + "\n")
    (target / "views.txt").write_text("\n".join(views) + "\n")
    (target / "pixels.bin").write_bytes(store.data)
    levels = torch.arange(256, dtype=torch.uint8).repeat(3, 1).div(255)
    numbers = F.normalize(levels[:, :, None], [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    brain = numbers.bfloat16().view(torch.int16).numpy().tobytes()
    (target / "numbers.bin").write_bytes(numbers.numpy().tobytes() + brain)
    print(f"Pillow {PIL.__version__}: {len(decoded)} files, {len(views)} cases, "
          f"{len(store.data)} bytes")


if __name__ == "__main__":
    main()
