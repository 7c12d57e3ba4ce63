#!/usr/bin/env python3
"""Writes tests/golden/recode.txt: pictures that Pillow made smaller and stored as JPEG. A line is: seed, width and height of
the drawn picture (make_image_golden.py), wanted shorter side, quality, sides of the result, XXH64 of the pixels that the file
decodes to. With photos, compares them with the bodies of a file that `wisp pack` made of the same ones instead:

    make_recode_golden.py [PHOTOS FILE.wisp SHORT_SIDE QUALITY]
"""
import io
import os
import struct
import sys
from PIL import Image
from make_image_golden import picture
from make_sample_sets import xxh64

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = [(0, 40, 30, 16, 95), (1, 30, 41, 16, 95), (2, 17, 300, 16, 80), (3, 301, 17, 16, 50), (4, 64, 64, 32, 100),
         (5, 100, 99, 98, 1), (1, 257, 129, 128, 90), (0, 19, 23, 7, 95), (4, 200, 150, 1, 95)]


def smaller(image, short_side, quality):
    """The file of an image whose sides are both longer than `short_side`; torchvision's rounding."""
    w, h = image.size
    size = (short_side, short_side * h // w) if w <= h else (short_side * w // h, short_side)
    out = io.BytesIO()
    image.resize(size, Image.BICUBIC).save(out, 'JPEG', quality=quality, subsampling='4:2:0', optimize=True)
    return out.getvalue()


def pixels(file):
    return Image.open(io.BytesIO(file)).convert('RGB')


def bodies(path):
    data = open(path, 'rb').read()
    _, count, index, classes, names = struct.unpack_from('<IQQQQ', data, 12)
    for i in range(count):
        at, _, name, size = struct.unpack_from('<QQQI', data, index + 40 * i)
        begin = index + 40 * count + classes + name
        yield data[begin:data.index(b'\0', begin)].decode(), data[at:at + size]


def compare(photos, packed, short_side, quality):
    kept = same = 0
    for name, body in bodies(packed):
        original = open(os.path.join(photos, name), 'rb').read()
        image = Image.open(io.BytesIO(original)).convert('RGB')
        if min(image.size) <= short_side:
            assert body == original, name
            kept += 1
        else:
            assert pixels(body).tobytes() == pixels(smaller(image, short_side, quality)).tobytes(), name
            same += 1
    print(f'{kept} kept, {same} with the pixels that Pillow gives')


if len(sys.argv) > 1:
    compare(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
else:
    with open(os.path.join(HERE, 'recode.txt'), 'w') as out:
        for seed, w, h, short_side, quality in CASES:
            image = pixels(smaller(picture(seed, w, h), short_side, quality))
            out.write(f'{seed} {w} {h} {short_side} {quality} {image.width} {image.height} {xxh64(image.tobytes()):016x}\n')
