#!/usr/bin/env python3
"""Writes the small sample sets of tests/data: an image folder (two classes, JPEG and PNG, one nested folder), the same and
some raw pictures packed into one file, and a few records in the binary forms of CIFAR-10, CIFAR-100 and STL-10. For smoke
runs and for the tests of the data sets; needs Pillow and numpy."""
import os
import struct
import numpy as np
from PIL import Image

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'data')


def picture(kind, number, size):
    y, x = np.mgrid[0:size, 0:size].astype(float)
    if kind % 2 == 0:
        mask = np.hypot(x - size / 2, y - size / 2) < size / 5 + number % 5
    else:
        mask = (x + number * y // 4).astype(int) // 3 % 2 == 0
    low = np.array([37 * number % 256, 91 * number % 256, 53 * (number + kind) % 256])
    return np.where(mask[..., None], 255 - low, low).astype(np.uint8)


def image_folder():
    for kind, name in enumerate(('disc', 'stripes')):
        for number in range(12):
            folder = os.path.join(ROOT, 'image_folder', name, 'more' if number == 11 else '')
            os.makedirs(folder, exist_ok=True)
            image = Image.fromarray(picture(kind, number, 20 + number % 4))
            ending = ('.jpg', '.png', '.JPEG')[number % 3]
            image.save(os.path.join(folder, f'{number:02d}{ending}'), **({} if ending == '.png' else {'quality': 80}))


def cifar10():
    folder = os.path.join(ROOT, 'cifar10')
    os.makedirs(folder, exist_ok=True)
    for file in range(6):
        records = b''
        for k in range(4):
            label = (4 * file + k) % 10
            records += bytes([label]) + picture(label, 4 * file + k, 32).transpose(2, 0, 1).tobytes()
        name = 'test_batch.bin' if file == 5 else f'data_batch_{file + 1}.bin'
        with open(os.path.join(folder, name), 'wb') as out:
            out.write(records)
    with open(os.path.join(folder, 'batches.meta.txt'), 'w') as out:
        out.write('\n'.join('airplane automobile bird cat deer dog frog horse ship truck'.split()) + '\n\n')


CIFAR100 = {'train': 8, 'test': 4}


def cifar100_records(split):
    """(coarse label, fine label, (32, 32, 3) pixels); fine classes belong to coarse ones as the published ones do."""
    for k in range(CIFAR100[split]):
        fine = (37 * k + (5 if split == 'test' else 0)) % 100
        yield fine * 7 % 20, fine, picture(1 + k % 2, 3 * k + 1, 32)


def cifar100():
    folder = os.path.join(ROOT, 'cifar100')
    os.makedirs(folder, exist_ok=True)
    for split in CIFAR100:
        with open(os.path.join(folder, split + '.bin'), 'wb') as out:
            for coarse, fine, pixels in cifar100_records(split):
                out.write(bytes([coarse, fine]) + pixels.transpose(2, 0, 1).tobytes())
    for kind, n in (('fine', 100), ('coarse', 20)):
        with open(os.path.join(folder, kind + '_label_names.txt'), 'w') as out:
            out.write(''.join(f'{kind}_{i}\n' for i in range(n)) + '\n')


STL10 = {'train': 4, 'test': 2, 'unlabeled': 2}


def stl10_picture(split, k):
    """Not the same when its sides are exchanged."""
    y, x = np.mgrid[0:96, 0:96]
    return np.stack([y // 8 * 20 + k, x // 16 * 40 + len(split), (x + 3 * y) // 32 * 30 + 50 * k], -1).astype(np.uint8)


def stl10():
    """Planes are stored column by column; labels go from 1; the folds are lines of positions in train_X.bin."""
    folder = os.path.join(ROOT, 'stl10')
    os.makedirs(folder, exist_ok=True)
    for split, n in STL10.items():
        with open(os.path.join(folder, split + '_X.bin'), 'wb') as out:
            for k in range(n):
                out.write(stl10_picture(split, k).transpose(2, 1, 0).tobytes())
        if split != 'unlabeled':
            with open(os.path.join(folder, split + '_y.bin'), 'wb') as out:
                out.write(bytes((7 * k + len(split)) % 10 + 1 for k in range(n)))
    with open(os.path.join(folder, 'class_names.txt'), 'w') as out:
        out.write('\n'.join('airplane bird car cat deer dog horse monkey ship truck'.split()) + '\n')
    with open(os.path.join(folder, 'fold_indices.txt'), 'w') as out:
        out.write(''.join(f'{i % 4} {(i + 2) % 4} \n' for i in range(10)))


def xxh64(data):
    """XXH64 with seed 0, from its published specification."""
    p1, p2, p3, p4, p5 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)
    mask = 2 ** 64 - 1
    turn = lambda x, n: (x << n | x >> (64 - n)) & mask
    mix = lambda lane, word: turn(lane + word * p2 & mask, 31) * p1 & mask
    lanes, at = [p1 + p2 & mask, p2, 0, -p1 & mask], 0
    while at + 32 <= len(data):
        lanes = [mix(lane, word) for lane, word in zip(lanes, struct.unpack_from('<4Q', data, at))]
        at += 32
    value = p5
    if len(data) >= 32:
        value = sum(turn(lane, n) for lane, n in zip(lanes, (1, 7, 12, 18))) & mask
        for lane in lanes:
            value = (value ^ mix(0, lane)) * p1 + p4 & mask
    value = value + len(data) & mask
    for size, code in ((8, '<Q'), (4, '<I'), (1, '<B')):
        while at + size <= len(data):
            word = struct.unpack_from(code, data, at)[0]
            if size == 8:
                value = turn(value ^ mix(0, word), 27) * p1 + p4 & mask
            elif size == 4:
                value = turn(value ^ word * p1 & mask, 23) * p2 + p3 & mask
            else:
                value = turn(value ^ word * p5 & mask, 11) * p1 & mask
            at += size
    for shift, factor in ((33, p2), (29, p3)):
        value = (value ^ value >> shift) * factor & mask
    return value ^ value >> 32


def packed_file(samples, classes):
    """Samples are (name, label, bytes, width, height); width 0: a JPEG or PNG file. The format is wisp/packed.h's."""
    bodies, index, names = b'', b'', b''
    for name, label, body, width, height in samples:
        index += struct.pack('<QQQIiIHH', 128 + len(bodies), xxh64(body), len(names), len(body), label, width > 0, width, height)
        bodies += body
        names += name.encode() + b'\0'
    classes_block = b''.join(name.encode() + b'\0' for name in classes)
    rest = index + classes_block + names
    header = b'\x89WPK\r\n\x1a\n' + struct.pack('<IIQQQQQQ', 1, len(classes), len(samples), 128 + len(bodies), len(classes_block),
                                                  len(names), 128 + len(bodies) + len(rest), xxh64(rest)) + bytes(56)
    return header + struct.pack('<Q', xxh64(header)) + bodies + rest


def packed():
    """The pictures of the image folder, then four raw ones of a third class."""
    folder, samples = os.path.join(ROOT, 'image_folder'), []
    for label, kind in enumerate(('disc', 'stripes')):
        for path, _, files in os.walk(os.path.join(folder, kind)):
            for file in files:
                full = os.path.join(path, file)
                samples.append((os.path.relpath(full, folder), label, open(full, 'rb').read(), 0, 0))
    samples.sort()
    for number in range(4):
        rgb = picture(number, number, 32)[:20 + number]
        samples.append((f'raw/{number}', 2, rgb.tobytes(), 32, 20 + number))
    os.makedirs(os.path.join(ROOT, 'packed'), exist_ok=True)
    with open(os.path.join(ROOT, 'packed', 'tiny.wisp'), 'wb') as out:
        out.write(packed_file(samples, ('disc', 'stripes', 'raw')))


if __name__ == '__main__':
    image_folder()
    packed()
    cifar10()
    cifar100()
    stl10()
