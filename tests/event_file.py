"""Event files of TensorBoard, written by hand: TFRecords with protocol buffers."""

from __future__ import annotations

import struct

from gitorch.runner.metrics_program import masked_crc


def event_file(*events: bytes) -> bytes:
    return b"".join(record(event) for event in events)


def record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return (
        length + struct.pack("<I", masked_crc(length)) + data + bytes(4)
    )  # the checksum of the data is not read


def scalar(tag: str, value: float, step: int, seconds: float = 1.0) -> bytes:
    """Return an event with a simple value, as TensorFlow 1 and PyTorch write it."""
    return _event(tag, b"\x15" + struct.pack("<f", value), step, seconds)


def tensor(tag: str, tensor: bytes, step: int) -> bytes:
    """Return an event with a TensorProto, as TensorFlow 2 writes it."""
    return _event(tag, _bytes(8, tensor), step, 1.0)


def _event(tag: str, value: bytes, step: int, seconds: float) -> bytes:
    summary = _bytes(1, _bytes(1, tag.encode()) + value)
    return (
        b"\x09"
        + struct.pack("<d", seconds)
        + b"\x10"
        + _varint(step)
        + _bytes(5, summary)
    )


def _bytes(field: int, data: bytes) -> bytes:
    return bytes([field << 3 | 2]) + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    data = b""
    while number > 0x7F:
        data += bytes([number & 0x7F | 0x80])
        number >>= 7
    return data + bytes([number])
