#!/usr/bin/env python3
"""Writes the small sample sets of tests/data: an image folder (two classes, JPEG and PNG, one nested folder) and CIFAR-10's
binary form with four records a file. For smoke runs and for the tests of the data sets; needs Pillow and numpy."""
import os
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


image_folder()
cifar10()
