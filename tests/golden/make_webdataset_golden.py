#!/usr/bin/env python3
"""Writes small tar shards with Python's tarfile, in all of its formats, and what the package
`webdataset` reads from them: tests/golden/webdataset and tests/data/webdataset.

    pip install webdataset
    python tests/golden/make_webdataset_golden.py
"""
import gzip
import io
import os
import subprocess
import tarfile
import tempfile
import zlib

import webdataset

HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = os.path.join(HERE, "webdataset")
DATA = os.path.join(HERE, "..", "data", "webdataset")
IMAGES = os.path.join(HERE, "..", "data", "image_folder")


def pictures():
    """(class, bytes, extension) of the pictures of tests/data/image_folder."""
    for label, name in enumerate(sorted(os.listdir(IMAGES))):
        for folder, _, files in sorted(os.walk(os.path.join(IMAGES, name))):
            for file in sorted(files):
                with open(os.path.join(folder, file), "rb") as f:
                    yield label, f.read(), os.path.splitext(file)[1]


def add(archive, name, data, **fields):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in fields.items():
        setattr(info, key, value)
    archive.addfile(info, io.BytesIO(data))


def special(archive, name, kind, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    archive.addfile(info)


def archive_of(form, build):
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w", format=form) as archive:
        build(archive)
    data = memory.getvalue().rstrip(b"\0")
    return data + bytes(-len(data) % 512 + 1024)


def write(folder, name, data):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as file:
        file.write(data)


def packed(data, members):
    """One gzip member for each part."""
    step = len(data) // members + 1
    return b"".join(gzip.compress(data[i : i + step], mtime=0) for i in range(0, len(data), step))


def sparse_entry(form):
    """What GNU tar makes of a file with many holes, without the end of the archive."""
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "thin.jpg"), "wb") as file:
            for i in range(6):
                file.seek(i * 65536)
                file.write(b"x")
        command = ["tar", "--sparse", f"--format={form}", "--mtime=@0", "--owner=0", "--group=0"]
        command += ["--pax-option=delete=[acm]time", "-C", folder, "-cf", "-", "thin.jpg"]
        if form == "gnu":
            command.remove("--pax-option=delete=[acm]time")
        data = subprocess.run(command, check=True, capture_output=True).stdout
    data = data.rstrip(b"\0")
    return data + bytes(-len(data) % 512)


def binary_size(data, name, size):
    """The same archive, with the size of the file `name` in base 256."""
    at = data.index(name.encode())
    header = bytearray(data[at : at + 512])
    header[124:136] = b"\x80" + size.to_bytes(11, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return data[:at] + bytes(header) + data[at + 512 :]


def make_data(all_pictures):
    def part(first):
        def build(archive):
            for i, (label, data, ending) in list(enumerate(all_pictures))[first::3]:
                add(archive, f"{i:04d}{ending}", data)
                add(archive, f"{i:04d}.cls", str(label).encode())

        return build

    for first in range(3):
        data = archive_of(tarfile.GNU_FORMAT, part(first))
        write(DATA, f"train-{first:06d}.tar", data)
        write(GOLDEN, f"gz-{first:06d}.tar.gz", packed(data, 1 + 2 * first))


def make_golden(all_pictures):
    p = [data for _, data, _ in all_pictures]

    def gnu(archive):
        special(archive, "train", tarfile.DIRTYPE)
        add(archive, "train/0001.JPG", p[0])
        add(archive, "train/0001.cls", b" 7\n")
        add(archive, "train/0001.json", b'{"a": [{"label": 1}], "label": 3, "s": "\\"label\\": 5"}')
        special(archive, "train/0002.jpg", tarfile.SYMTYPE, "0001.jpg")
        add(archive, "train/0003.seg.png", p[1])
        add(archive, "train/0003.cls", b"1")
        add(archive, "a.b/0004.png", p[2])
        add(archive, "a.b/0004.jpeg", p[3])
        add(archive, "a.b/0004.cls", b"0")
        add(archive, "__index__/0005.jpg", p[4])
        add(archive, "__notes__.jpg", p[4])
        add(archive, "__notes__.cls", b"9")
        add(archive, ".jpg", p[4])
        add(archive, "folder/.jpg", p[5])
        add(archive, "folder/.cls", b"2")
        add(archive, "nothing", b"no extension")
        add(archive, "empty.jpg", b"")
        add(archive, "empty.cls", b"4")
        special(archive, "again.jpg", tarfile.LNKTYPE, "train/0001.JPG")
        long = "deep/" * 30 + "x" * 110
        add(archive, long + ".jpeg", p[6])
        add(archive, long + ".cls", b"11")

    def ustar(archive):
        name = "p" * 140 + "/" + "n" * 90
        add(archive, name + ".jpg", p[7])
        add(archive, name + ".cls", b"5")

    def pax(archive):
        add(archive, "bäume/" + "ü" * 90 + ".jpg", p[8], pax_headers={"comment": "z" * 6000})
        add(archive, "bäume/" + "ü" * 90 + ".cls", b"6")
        add(archive, "size.jpg", p[9], pax_headers={"size": str(len(p[9]))})
        add(archive, "size.cls", b"8")

    write(GOLDEN, "gnu.tar", sparse_entry("gnu") + archive_of(tarfile.GNU_FORMAT, gnu))
    write(GOLDEN, "ustar.tar", archive_of(tarfile.USTAR_FORMAT, ustar))
    write(GOLDEN, "pax.tar", sparse_entry("posix") + archive_of(tarfile.PAX_FORMAT, pax))
    data = archive_of(tarfile.GNU_FORMAT, gnu)
    write(GOLDEN, "base256.tar", binary_size(data, "train/0001.JPG", len(p[0])))


def lines_of(path):
    """file, key, extension, class, bytes and CRC-32 of each sample with a picture."""
    with open(path, "rb") as file:
        data = file.read()
    with tempfile.NamedTemporaryFile(suffix=".tar") as plain:
        # The package reads the first member of a gzip file alone.
        plain.write(gzip.decompress(data) if path.endswith(".gz") else data)
        plain.flush()
        for sample in webdataset.WebDataset(plain.name, shardshuffle=False, empty_check=False):
            endings = [e for e in ("jpg", "jpeg", "png") if e in sample]
            if not endings or sample["__key__"] == "thin":
                continue  # sparse files are passed over, which the package does not
            data = sample[endings[0]]
            label = sample.get("cls", b"-1").decode().strip()
            fields = [os.path.basename(path), sample["__key__"], endings[0], label]
            yield "\t".join(fields + [str(len(data)), f"{zlib.crc32(data):08x}"])


def main():
    all_pictures = list(pictures())
    make_data(all_pictures)
    make_golden(all_pictures)
    paths = [os.path.join(d, f) for d in (DATA, GOLDEN) for f in sorted(os.listdir(d))]
    with open(os.path.join(GOLDEN, "expected.txt"), "w", encoding="utf-8") as out:
        for path in paths:
            if path.endswith((".tar", ".tar.gz")):
                out.writelines(line + "\n" for line in lines_of(path))


main()
