#!/usr/bin/env python3
"""Makes tests/golden/odd: image files of unusual sizes and kinds, and views that Pillow and
torchvision make of them.

    make_odd_files.py [DIR]

    files/     the files
    views.txt  one view a line: see `write_view`
    pixels.bin the stored bytes of all views, in order

Needs what make_image_golden.py needs."""
import io
import pathlib
import random
import struct
import sys
import zlib

import numpy as np
import PIL
from PIL import Image, ImageOps
from torchvision.transforms import functional as F

from make_image_golden import (BLUR, BRIGHTNESS, CONTRAST, FILTERS, GRAY, HUE, OPS, SATURATION,
                               SOLARIZE, Store, encode_png, picture)


def smooth(width, height):
    """Ramps and slow waves: a long picture of them is a small file."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    v = 128 + 90 * np.sin(x / 37.0 + c) * np.cos(y / 53.0) + 30 * ((x // 400 + y // 400 + c) % 2)
    return Image.fromarray(v.clip(0, 255).astype(np.uint8))


def jpeg(image, **options):
    out = io.BytesIO()
    image.save(out, "JPEG", **options)
    return out.getvalue()


def tiff(orientation, order="<", kind=3, count=1, offset=8, before=0):
    """A directory with `before` other entries and the orientation."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", offset)
    other = struct.pack(order + "HHII", 0x10F, 2, 4, 0)
    value = struct.pack(order + ("HH" if kind == 3 else "I"), *((orientation, 0) if kind == 3
                                                              else (orientation,)))
    entry = struct.pack(order + "HHI", 0x112, kind, count) + value
    return head + struct.pack(order + "H", before + 1) + other * before + entry + bytes(4)


def with_exif(data, body):
    """A JPEG with one more segment behind its start marker."""
    segment = b"Exif\0\0" + body
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]


def with_chunk(png, name, body):
    """A PNG with one more chunk behind its header."""
    chunk = struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return png[:33] + chunk + png[33:]


def as_png(image):
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def files():
    ramp = picture(1, 121, 83)
    gray, noise = ramp.convert("L"), picture(0, 121, 83)
    yield "one_wide.jpg", jpeg(picture(1, 1, 77), quality=90)
    yield "one_high.jpg", jpeg(picture(1, 77, 1), quality=90, subsampling=2)
    yield "one_wide.png", as_png(picture(1, 1, 77))
    yield "one_pixel.jpg", jpeg(picture(0, 1, 1), quality=90)
    yield "one_pixel.png", as_png(picture(0, 1, 1))
    yield "one_pixel_gray.jpg", jpeg(picture(0, 1, 1).convert("L"))
    yield "long.jpg", jpeg(smooth(10000, 9), quality=30, subsampling=2)
    yield "tall.jpg", jpeg(smooth(9, 10000), quality=30, subsampling=2)
    yield "tall_progressive.jpg", jpeg(smooth(5, 10000), quality=30, progressive=True)
    yield "long.png", as_png(smooth(10000, 2).quantize(8))
    yield "tall.png", as_png(smooth(2, 10000).quantize(8))
    yield "gray.jpg", jpeg(gray, quality=70)
    yield "progressive.jpg", jpeg(ramp, quality=60, progressive=True, subsampling=2)
    yield "restarts.jpg", jpeg(ramp, quality=60, subsampling=1, restart_marker_blocks=5)
    yield "cmyk.jpg", jpeg(Image.merge("CMYK", [*ramp.split(), gray]), quality=60)
    rng = np.random.default_rng(3)
    deep = rng.integers(0, 65536, (23, 37, 3))
    yield "gray16.png", encode_png(deep[:, :, :1] % 400, 37, 23, 16, 0)
    yield "rgb16.png", encode_png(deep, 37, 23, 16, 2)
    yield "rgba16_adam7.png", encode_png(rng.integers(0, 65536, (23, 37, 4)), 37, 23, 16, 6,
                                         interlace=True)
    colours = rng.integers(0, 256, 48).astype(np.uint8).tobytes()
    yield "palette.png", encode_png(rng.integers(0, 16, (23, 37, 1)), 37, 23, 4, 3, colours,
                                    bytes([0, 90, 255]))
    small = picture(1, 41, 29)
    for n in range(1, 9):
        body = tiff(n, "<>"[n % 2], before=n % 3)
        yield f"exif_{n}.jpg", with_exif(jpeg(small, quality=80, subsampling=n % 3), body)
        yield f"exif_{n}.png", with_chunk(as_png(picture(1, 13, 7)), b"eXIf", body)
    plain = jpeg(small, quality=80)
    yield "exif_long.jpg", with_exif(plain, tiff(6, kind=4))
    yield "exif_gray_progressive.jpg", with_exif(jpeg(gray, progressive=True), tiff(5))
    # None of these says anything valid.
    yield "exif_zero.jpg", with_exif(plain, tiff(0))
    yield "exif_nine.jpg", with_exif(plain, tiff(9))


def chain(rng):
    ops = [(BRIGHTNESS, rng.uniform(0.6, 1.4)), (CONTRAST, rng.uniform(0.6, 1.4)),
           (SATURATION, rng.uniform(0.8, 1.2)), (HUE, rng.uniform(-0.1, 0.1))]
    rng.shuffle(ops)
    ops += [(GRAY, 0)] if rng.random() < 0.3 else []
    ops += [(BLUR, rng.uniform(0.1, 2.0))]
    return ops + ([(SOLARIZE, 128)] if rng.random() < 0.4 else [])


def write_view(lines, store, name, image, upright, box, out, filter, flip, ops):
    """NAME UPRIGHT W H  X Y W H  OUT_W OUT_H FILTER FLIP N_OPS {KIND PARAMETER} KEPT"""
    x, y, w, h = box
    view = image.crop((x, y, x + w, y + h)).resize(out, FILTERS[filter])
    view = F.hflip(view) if flip else view
    for kind, parameter in ops:
        view = OPS[kind](view, parameter)
    fields = [name, upright, *image.size, *box, *out, filter, flip, len(ops)]
    fields += [f"{kind} {parameter!r}" for kind, parameter in ops]
    lines.append(" ".join([*map(str, fields), store.keep(view)]))


def views_of(lines, store, name, data, rng):
    upright = int(name.startswith("exif"))
    image = Image.open(io.BytesIO(data))
    image = (ImageOps.exif_transpose(image) if upright else image).convert("RGB")
    width, height = image.size
    part = (0, 0, min(width, 4096), min(height, 4096))
    write_view(lines, store, name, image, upright, part, part[2:], 0, 0, [])
    for _ in range(3):
        w, h = rng.randint(1, width), rng.randint(1, height)
        box = (rng.randint(0, width - w), rng.randint(0, height - h), w, h)
        out = rng.choice([(32, 32), (24, 17), (9, 40)])
        write_view(lines, store, name, image, upright, box, out, rng.randint(0, 2),
                   rng.randint(0, 1), chain(rng))


def main():
    if int(PIL.__version__.split(".")[0]) < 13:
        sys.exit(f"Pillow {PIL.__version__} is too old; 13 or later is needed")
    target = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "odd"
    (target / "files").mkdir(parents=True, exist_ok=True)
    store, lines, rng = Store(), [], random.Random(8)
    for name, data in files():
        (target / "files" / name).write_bytes(data)
        views_of(lines, store, name, data, rng)
    (target / "views.txt").write_text("\n".join(lines) + "\n")
    (target / "pixels.bin").write_bytes(store.data)
    print(f"Pillow {PIL.__version__}: {len(lines)} views, {len(store.data)} bytes")


if __name__ == "__main__":
    main()
