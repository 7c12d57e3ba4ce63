#!/usr/bin/env python3
"""Writes tests/data/hdf5 with h5py: the images of tests/data/image_folder in one file, as the reference system lays them out,
and small files with everything that is unusual or wrong. Needs h5py and numpy."""
import os
import h5py
import numpy as np

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'data')
OUT = os.path.join(DATA, 'hdf5')


def content(path):
    with open(path, 'rb') as file:
        return np.frombuffer(file.read(), dtype=np.uint8)


def images():
    """Class name, image name, bytes; not in order."""
    for kind in ('stripes', 'disc'):
        top = os.path.join(DATA, 'image_folder', kind)
        for folder, _, names in os.walk(top):
            for name in sorted(names, reverse=True):
                yield kind, name, content(os.path.join(folder, name))


def new(name, **options):
    return h5py.File(os.path.join(OUT, name), 'w', **options)


def plain():
    with new('images.h5') as f:
        for kind, name, data in images():
            f.require_group(kind).create_dataset(name, data=data)


def unusual():
    """Groups of the newer kind that keep the order of creation, a block of others' bytes in front, and every link."""
    text = np.frombuffer(b'four', dtype=np.uint8)
    with new('unusual.h5', libver=('v110', 'v110'), userblock_size=1024, track_order=True) as f:
        zebra = f.create_group('zebra', track_order=True)
        zebra.create_dataset('b', data=text.view(np.int8))
        zebra['a'] = np.void(b'opaque\0bytes\0')
        zebra.create_dataset('empty', data=np.zeros(0, np.uint8))
        late = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        late.set_alloc_time(h5py.h5d.ALLOC_TIME_LATE)
        h5py.h5d.create(zebra.id, b'never_written', h5py.h5t.NATIVE_UINT8, h5py.h5s.create_simple((7,)), dcpl=late)
        ant = f.create_group('ant')
        for i in range(12):   # more than fit into the header of a group
            ant.create_dataset(f'{i}', data=np.frombuffer(b'ant %d' % i, dtype=np.uint8))
        ant['soft'] = h5py.SoftLink('/zebra/b')
        ant['hard'] = zebra['a']
        ant['nowhere'] = h5py.SoftLink('/zebra/missing')
        ant['elsewhere'] = h5py.ExternalLink('images.h5', '/disc/00.jpg')
        f.create_group('empty group')
        f.create_dataset('beside', data=np.arange(6.0).reshape(2, 3))
        f.create_dataset('also beside', data=text)
        f['linked'] = h5py.SoftLink('/zebra')
        f['type'] = np.dtype('i4')
        f.create_group('\u00e9t\u00e9').create_dataset('\u5199\u771f', data=text)


def many():
    """So many that the layout is worth keeping, of one image under 1000 names."""
    with new('many.h5', libver=('v110', 'v110')) as f:
        group = f.create_group('class')
        group.create_dataset('0', data=np.frombuffer(b'bytes', dtype=np.uint8))
        for i in range(1, 1000):
            group[f'{i}'] = group['0']


def wrong():
    row = np.frombuffer(b'some bytes of an image', dtype=np.uint8)
    with new('chunked.h5') as f:
        f.create_dataset('class/image.jpg', data=row, chunks=(4,))
    with new('chunked_behind.h5', userblock_size=512) as f:
        f.create_dataset('class/image.jpg', data=row, chunks=(4,))
    with new('compressed.h5') as f:
        f.create_dataset('class/image.jpg', data=row, compression='gzip')
    with new('compact.h5') as f:
        made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        made.set_layout(h5py.h5d.COMPACT)
        made.set_obj_track_times(False)
        group = f.create_group('class')
        space = h5py.h5s.create_simple(row.shape)
        h5py.h5d.create(group.id, b'image.jpg', h5py.h5t.NATIVE_UINT8, space, dcpl=made).write(
            h5py.h5s.ALL, h5py.h5s.ALL, row)
    with new('elsewhere.h5') as f:
        f.create_dataset('class/image.jpg', data=row, external=[('missing.raw', 0, row.size)])
    os.remove('missing.raw')
    with new('pixels.h5') as f:
        f.create_dataset('class/image.jpg', data=np.zeros((4, 4, 3), np.uint8))
    with new('floats.h5') as f:
        f.create_dataset('class/image.jpg', data=np.zeros(5, np.float32))
    with new('texts.h5') as f:
        f.create_dataset('class/image.jpg', data=np.array([b'text'], dtype='S4'))
    with new('deep.h5') as f:
        f.create_dataset('class/folder/image.jpg', data=row)
    with new('arrays.h5') as f:
        f.create_dataset('images', data=np.zeros((2, 4, 4, 3), np.uint8))
        f.create_dataset('labels', data=np.zeros(2, np.int64))
        f.create_group('nothing in it')
    with new('flat.h5') as f:
        f.create_dataset('2.jpg', data=row)
        f.create_dataset('1.jpg', data=row[:4])


os.makedirs(OUT, exist_ok=True)
os.chdir(OUT)   # names of other files are stored as they are given
plain()
unusual()
many()
wrong()
