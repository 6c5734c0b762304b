"""Arrays of an .npz or of a folder of .npy: mapped, not loaded, and never unpickled."""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch

from deepcore.common.checks import UsageError, first_line
from deepcore.common.resources import available_memory

_PIECE = 1 << 22


def folder_arrays(folder: Path) -> dict[str, np.ndarray]:
    """Every .npy of a folder, memory-mapped; UsageError names the file that is none."""
    arrays = {}
    for path in sorted(folder.glob("*.npy")):
        arrays[path.stem] = mapped(path)
    if not arrays:
        raise UsageError(f"{folder}: there is no .npy file in it, and it is no folder of a LossRecorder")
    return arrays


def mapped(path: Path) -> np.ndarray:
    """One .npy, memory-mapped for reading (text and single values are loaded)."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise UsageError(f"{path}: it cannot be read ({error.strerror or error})") from None
    except Exception as error:  # damaged bytes raise whatever the header's and dtype's parsers do
        raise UsageError(
            f"{path}: no .npy of plain values, or one that is cut off ({first_line(error)})"
        ) from None
    return np.array(array) if array.ndim == 0 or array.dtype.kind == "U" else array


def npz_arrays(path: Path) -> dict[str, np.ndarray]:
    """Every array of an .npz. What is stored uncompressed (numpy.savez does) is memory-mapped after its
    checksum was compared; what is compressed is unpacked.

    Raises:
        UsageError: naming the member that is damaged, cut off, larger than it says, or no plain array.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if m.filename.endswith(".npy")]
            found = {m.filename[:-4]: _member(path, archive, m) for m in members}
    except UsageError:
        raise
    except OSError as error:
        raise UsageError(f"{path}: it cannot be read ({error.strerror or error})") from None
    except Exception as error:  # as above, and zip and zlib
        raise UsageError(
            f"{path}: no .npz of plain arrays, or one that is cut off ({first_line(error)})"
        ) from None
    if not found:
        raise UsageError(f"{path}: there is no array in it")
    return found


def _member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    where = f"{path}: {member.filename}"
    with archive.open(member) as handle:
        version = np.lib.format.read_magic(handle)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = read(handle)
        header = handle.tell()
    if dtype.hasobject:
        raise UsageError(f"{where} holds Python objects, which are not loaded: save plain numbers or text")
    size = math.prod(shape) * dtype.itemsize
    if header + size != member.file_size:
        raise UsageError(
            f"{where} claims {size:,} bytes and holds {member.file_size - header:,}: it is cut off or damaged"
        )
    order = "F" if fortran else "C"
    if member.compress_type == zipfile.ZIP_STORED and size and dtype.kind != "U" and shape:
        offset = _data_offset(path, member) + header
        _check_sum(path, offset - header, member, where)
        return np.memmap(path, dtype, mode="r", offset=offset, shape=shape, order=order)
    free = available_memory(torch.device("cpu"))
    if size > free / 2:
        raise UsageError(
            f"{where} takes {size:,} bytes unpacked and {free:,} are free: save it with numpy.savez, "
            "which does not compress and can be mapped, or as a folder of .npy"
        )
    return _unpacked(archive, member, header, size, where).view(dtype).reshape(shape, order=order)


def _unpacked(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, header: int, size: int, where: str
) -> np.ndarray:
    """The bytes of a member, taken as they come: a zip may claim more than it holds."""
    content = bytearray()
    with archive.open(member) as handle:  # zipfile compares the checksum at the end
        handle.read(header)
        while piece := handle.read(_PIECE):
            content += piece
    if len(content) != size:
        raise UsageError(f"{where} claims {size:,} bytes and holds {len(content):,}")
    return np.frombuffer(content, np.uint8)


def _data_offset(path: Path, member: zipfile.ZipInfo) -> int:
    """Where the bytes of a stored member begin: after its local header and what that says of its length."""
    with open(path, "rb") as handle:
        handle.seek(member.header_offset)
        local = handle.read(30)
    name, extra = struct.unpack("<26xHH", local)
    return member.header_offset + 30 + name + extra


def _check_sum(path: Path, start: int, member: zipfile.ZipInfo, where: str) -> None:
    left, value = member.file_size, 0
    with open(path, "rb") as handle:
        handle.seek(start)
        while left and (piece := handle.read(min(_PIECE, left))):
            value, left = zlib.crc32(piece, value), left - len(piece)
    if left or value != member.CRC:
        raise UsageError(f"{where} is damaged: its checksum is another")
