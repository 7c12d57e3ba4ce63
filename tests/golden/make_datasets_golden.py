#!/usr/bin/env python3
"""Writes tests/golden/datasets.txt: what torchvision reads from the records of tests/data/cifar100 and tests/data/stl10, one
line a sample: set, split, position, label and the XXH64 of its (height, width, 3) bytes. STL-10 is read from the same files;
CIFAR-100, which torchvision reads from pickles only, from pickles of the same records. Needs torchvision and
make_sample_sets.py, which is to be run first."""
import os
import pickle
import tempfile
import numpy as np
from torchvision.datasets import CIFAR100, STL10, cifar
import make_sample_sets as sets

HERE = os.path.dirname(os.path.abspath(__file__))
cifar.check_integrity = lambda *_: True  # these are not the published files
STL10._check_integrity = lambda _: True


def lines_of(name, split, dataset):
    for position in range(len(dataset)):
        image, label = dataset[position]
        yield f'{name} {split} {position} {label} {sets.xxh64(np.asarray(image).tobytes()):016x}\n'


def pickle_cifar100(root):
    folder = os.path.join(root, CIFAR100.base_folder)
    os.makedirs(folder)
    for split in sets.CIFAR100:
        records = list(sets.cifar100_records(split))
        with open(os.path.join(folder, split), 'wb') as out:
            pickle.dump({'data': np.stack([pixels.transpose(2, 0, 1).reshape(-1) for _, _, pixels in records]),
                         'coarse_labels': [r[0] for r in records], 'fine_labels': [r[1] for r in records]}, out)
    with open(os.path.join(folder, 'meta'), 'wb') as out:
        pickle.dump({'fine_label_names': [f'fine_{i}' for i in range(100)]}, out)


with tempfile.TemporaryDirectory() as root, open(os.path.join(HERE, 'datasets.txt'), 'w') as out:
    pickle_cifar100(root)
    os.symlink(os.path.abspath(os.path.join(sets.ROOT, 'stl10')), os.path.join(root, STL10.base_folder))
    for split in sets.CIFAR100:
        out.writelines(lines_of('cifar100', split, CIFAR100(root, train=split == 'train')))
    for split in STL10.splits:
        out.writelines(lines_of('stl10', split, STL10(root, split=split)))
    for fold in (0, 7):
        out.writelines(lines_of('stl10', f'fold{fold}', STL10(root, split='train', folds=fold)))
