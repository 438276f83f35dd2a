"""Folders of images, some of which are damaged, are no images, or are no files: for `benchmarks.fuzz`."""

from __future__ import annotations

import io
import os
import shutil
import struct
import zlib
from pathlib import Path
from random import Random

from PIL import Image

from benchmarks.mutations import damaged_bytes

FORMATS = {"jpg": "JPEG", "png": "PNG", "bmp": "BMP", "tif": "TIFF", "webp": "WEBP", "jp2": "JPEG2000"}
MODES = ("RGB", "L", "1", "P", "RGBA", "CMYK", "I;16", "LA", "F")
SIZES = ((40, 30), (1, 1), (1, 3000), (3000, 1), (0, 0))


def write_folder(directory: Path) -> Path:
    """Write four images into a new folder and return it."""
    directory.mkdir()
    for number in range(4):
        Image.new("RGB", (40, 30), (60 * number, 90, 30)).save(directory / f"{number}.jpg")
    return directory


def damage_folder(valid: Path, directory: Path, draw: Random) -> None:
    """Copy a folder of images and add one to three entries that are hostile or damaged."""
    shutil.copytree(valid, directory, dirs_exist_ok=True)
    for path in draw.sample(sorted(directory.iterdir()), draw.choice((0, 0, 0, 3, 4))):
        path.unlink()
    for number in range(draw.randint(1, 3)):
        suffix = draw.choice([*FORMATS, "jpeg", "tiff", "heic", "avif", "dng", "mpo", "txt", "JPG"])
        path = directory / draw.choice(("{}.{}", "{}.{}", "a b{}.{}", "-{}.{}", "é漢{}.{}")).format(number + 10, suffix)
        draw.choice((_image, _image, _huge, _bomb, _noise, put_no_file, put_no_file))(path, draw)
    if draw.random() < 0.05:
        Path(os.fsdecode(os.fsencode(directory) + b"/\xff\xfe.jpg")).write_bytes(b"\xff\xd8\xff")


def encoded(draw: Random) -> bytes:
    """Return an image of some format, mode and size."""
    format, mode, size = draw.choice([*FORMATS.values()]), draw.choice(MODES), draw.choice(SIZES)
    content = io.BytesIO()
    try:
        Image.new(mode, size).save(content, format)
    except (OSError, ValueError, KeyError, SystemError, MemoryError):  # the format has no such mode or size
        content = io.BytesIO()
        Image.new("RGB", (40, 30)).save(content, format)
    return content.getvalue()


def _image(path: Path, draw: Random) -> None:
    """Write an image, damaged or not, of the format that its name says or of another one."""
    content = encoded(draw)
    kind = draw.randrange(4)
    if kind == 0:
        content = content[: draw.randrange(len(content))]
    elif kind == 1:
        content = damaged_bytes(content[:64], draw) + content[64:]
    elif kind == 2:
        content = damaged_bytes(content, draw)
    path.write_bytes(content)


def _huge(path: Path, draw: Random) -> None:
    """Write a small file whose header says that the image is huge."""
    width, height = draw.choice(((60_000, 60_000), (65_500, 65_500), (2**31 - 1, 2**31 - 1), (30_000, 30_000)))
    kind = draw.randrange(4)
    if kind == 0:
        content = _png(width, height, zlib.compress(bytes(1000)))
    elif kind == 1:
        content = b"BM" + struct.pack("<IHHIIiiHHIIiiII", 70, 0, 0, 54, 40, width, height, 1, 24, 0, 16, 1, 1, 0, 0)
        content += bytes(16)
    elif kind == 2:
        small = io.BytesIO()
        Image.new("RGB", (40, 30)).save(small, "JPEG")
        content = small.getvalue().replace(struct.pack(">HH", 30, 40), struct.pack(">HH", 65_500, 65_500), 1)
    else:
        content = f"P6\n{width} {height}\n255\n".encode() + bytes(100)
    path.write_bytes(content)


def _bomb(path: Path, draw: Random) -> None:
    """Write a few megabytes at most that are a valid black image of 75 megabytes, or of three gigabytes."""
    width = draw.choice((5_000, 32_000))
    path.write_bytes(_png(width, width, _packed_zeros(width * (1 + 3 * width))))


def _packed_zeros(length: int) -> bytes:
    """Return what zlib makes of so many zeros, of one packed megabyte that is repeated."""
    packer = zlib.compressobj(wbits=-15)
    megabyte = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    last = zlib.compressobj(wbits=-15)
    rest = last.compress(bytes(length % 2**20)) + last.flush()
    return b"\x78\x9c" + megabyte * (length // 2**20) + rest + struct.pack(">HH", length % 65521, 1)


def _png(width: int, height: int, pixels: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def _noise(path: Path, draw: Random) -> None:
    path.write_bytes(draw.randbytes(draw.choice((0, 1, 10, 5000))))


def put_no_file(path: Path, draw: Random) -> None:
    """Make something with the name of an image that is no file: a pipe, a folder, or a link that leads nowhere."""
    kind = draw.randrange(8)
    if kind == 0:
        os.mkfifo(path)
    elif kind == 1:
        path.mkdir()
    elif kind == 2:
        path.symlink_to(path)  # to itself
    elif kind == 3:
        path.symlink_to(path.parent / "missing.jpg")
    elif kind == 4:
        path.with_suffix(".folder").symlink_to(path.parent, target_is_directory=True)
    elif kind == 5:
        path.symlink_to("/dev/zero")
    elif kind == 6:
        other = path.with_name(f"other-{path.name}")
        path.symlink_to(other)
        other.symlink_to(path)
    else:
        path.symlink_to(path.parent / "0.jpg")
