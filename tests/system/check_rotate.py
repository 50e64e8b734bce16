"""scripts/rotate-classes on images of 2 x 2 pixels: every image of the chosen classes comes in its four turns, each with its own class.

usage: check_rotate.py ROTATE_CLASSES"""
import gzip
import os
import struct
import subprocess
import sys
import tempfile

IMAGES = {3: [(1, 2, 3, 4)], 4: [(5, 6, 7, 8), (9, 10, 11, 12)], 5: [(13, 14, 15, 16)]}


def expected(first, last):
    """Counter-clockwise: the right column becomes the upper row."""
    out = []
    for label in range(first, last + 1):
        for a, b, c, d in IMAGES[label]:
            turns = [(a, b, c, d), (b, d, a, c), (d, c, b, a), (c, a, d, b)]
            out += [(4 * (label - first) + turn, image) for turn, image in enumerate(turns)]
    return sorted(out)


def write(folder, name, sizes, values):
    with gzip.open(os.path.join(folder, f"{name}-idx{len(sizes)}-ubyte.gz"), "wb") as file:
        file.write(struct.pack(f">{1 + len(sizes)}I", 0x800 + len(sizes), *sizes) + bytes(values))


def read(folder, name, dimensions, count):
    with gzip.open(os.path.join(folder, f"{name}-idx{dimensions}-ubyte.gz")) as file:
        content = file.read()
    assert struct.unpack_from(">2I", content) == (0x800 + dimensions, count), name
    return content[4 + 4 * dimensions:]


def run(script, *words):
    return subprocess.run([script, *words], stderr=subprocess.PIPE, text=True, check=False)


def check(script, folder):
    source, out = (os.path.join(folder, name) for name in ("source", "out"))
    os.mkdir(source)
    for part in ("train", "t10k"):
        pairs = [(label, image) for label, images in IMAGES.items() for image in images]
        write(source, f"{part}-images", (len(pairs), 2, 2), [pixel for _, image in pairs for pixel in image])
        write(source, f"{part}-labels", (len(pairs),), [label for label, _ in pairs])
    done = run(script, source, out, "--classes", "3-4")
    assert done.returncode == 0, done.stderr
    for part in ("train", "t10k"):
        pixels, labels = read(out, f"{part}-images", 3, 12), read(out, f"{part}-labels", 1, 12)
        found = sorted((label, tuple(pixels[4 * i:4 * i + 4])) for i, label in enumerate(labels))
        assert found == expected(3, 4), found
    write(source, "train-images", (4, 2, 1), range(8))
    done = run(script, source, out)
    assert done.returncode == 1 and "square images" in done.stderr, done.stderr


with tempfile.TemporaryDirectory(prefix="rotate-") as home:
    check(sys.argv[1], home)
