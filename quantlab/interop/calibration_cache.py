"""TensorRT calibration caches: text of a header and one scale per activation, read and written bit for bit.

    TRT-8601-EntropyCalibration2
    images: 3c010a14
    /conv1/Conv_output_0: 3f9db09c

A scale is a float32, its bits in hexadecimal, most significant digit first: scale = largest magnitude / 127.
Names are those of ONNX tensors and may contain colons, so that a line is split at its last one. Weights are not in
a cache; TensorRT takes their ranges from the weights.

Sources: samples/common/sampleEngines.cpp of TensorRT 10.16 (the reader of trtexec); caches written by TensorRT 7 to 10.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from quantlab.errors import CalibrationError, RecipeError
from quantlab.files import replacing

Algorithm = Literal["entropy2", "minmax"]

ALGORITHMS: dict[str, str] = {"entropy2": "EntropyCalibration2", "minmax": "MinMaxCalibration"}
# The version may be a placeholder, such as 8XXX, in what other tools write.
_HEADER = re.compile(r"TRT-(?P<version>[^-]+)-(?P<algorithm>\w+)")
_BITS = re.compile(r"(?:0[xX])?([0-9a-fA-F]{1,8})")
_DOTTED = re.compile(r"(\d{1,2})\.(\d{1,2})(?:\.(\d{1,2}))?(?:\.\d+)?")
_DIGITS = 8
_BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True, eq=False, slots=True)
class CalibrationCache:
    """A calibration cache.

    Attributes:
        header: the first line, as it is written: `TRT-<version>-<algorithm>`.
        scales: float32 by tensor name, in the order of the file. They may be 0, infinite or NaN, as TensorRT writes
            them for tensors that were so in calibration.
    """

    header: str
    scales: Mapping[str, np.float32]

    @property
    def algorithm(self) -> str:
        """The word of the header, such as `EntropyCalibration2`."""
        match = _HEADER.fullmatch(self.header)
        return match["algorithm"] if match else ""

    @property
    def version(self) -> tuple[int, int, int] | None:
        """Major, minor and patch of the TensorRT that wrote it, or None where the header holds no number."""
        match = _HEADER.fullmatch(self.header)
        return _version_of(match["version"]) if match else None

    def same_as(self, other: CalibrationCache) -> bool:
        """Whether header, names, their order and all bits of the scales are equal."""
        return self.header == other.header and list(_bits(self)) == list(_bits(other))

    def to_text(self) -> str:
        """Return the file's content, scales in eight lower-case digits.

        Raises:
            CalibrationError: a tensor's name is empty or has a line break, which the format cannot hold.
        """
        lines = [self.header]
        for name, bits in _bits(self):
            if not name or "\n" in name or "\r" in name:
                raise CalibrationError(f"calibration cache: a line cannot hold the tensor name {name!r}; rename it")
            lines.append(f"{name}: {bits}")
        return "\n".join(lines) + "\n"

    def __str__(self) -> str:
        return f"{self.header}: {len(self.scales)} tensors"


def header_for(version: str, algorithm: str) -> str:
    """Return the first line of a cache that a TensorRT version accepts.

    Args:
        version: as people write it (`8.6.1`) or as TensorRT does (`8601`, from 10 on `100300`).
        algorithm: `entropy2` or `minmax`, the calibrator class that will read the cache.

    Raises:
        RecipeError: there is no such version or algorithm.
    """
    if algorithm not in ALGORITHMS:
        raise RecipeError(f"algorithm {algorithm!r} is unknown; use one of {', '.join(ALGORITHMS)}")
    parts = _version_of(version)
    if parts is None:
        raise RecipeError(f"TensorRT version {version!r} is not of the form 8.6.1 or 8601; `trtexec` prints yours")
    major, minor, patch = parts
    # NV_TENSORRT_VERSION in NvInferVersion.h; TensorRT 10 widened the fields.
    number = major * 10_000 + minor * 100 + patch if major >= 10 else major * 1000 + minor * 100 + patch
    return f"TRT-{number}-{ALGORITHMS[algorithm]}"


def read_cache(path: str | Path) -> CalibrationCache:
    """Read a calibration cache file.

    Raises:
        CalibrationError: the file cannot be read, or is none; the message names the line.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8")
    except OSError as error:
        raise CalibrationError(f"{path}: the calibration cache cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise CalibrationError(f"{path}: not a calibration cache, which is text; {_WHAT_IT_IS}") from error
    return parse_cache(text, origin=str(path))


def parse_cache(text: str, *, origin: str = "calibration cache") -> CalibrationCache:
    """Return the cache that a text holds.

    Digits may be fewer than eight (leading zeros left out), lines may end in a carriage return, blank lines count
    for nothing. A file that ends within a scale is refused: its first digits would be another scale.

    Args:
        text: the content of the file.
        origin: the file's name, for messages.

    Raises:
        CalibrationError: the first line is no header, a line is no name and scale, or a tensor has two scales.
    """
    if not text.strip():
        raise CalibrationError(f"{origin}: it is empty; {_WHAT_IT_IS}")
    lines = [line.removesuffix("\r") for line in text.removeprefix(_BYTE_ORDER_MARK).split("\n")]
    header = lines[0].strip()
    if not _HEADER.fullmatch(header):
        raise CalibrationError(f"{origin}: the first line is {header[:60]!r}, no header; {_WHAT_IT_IS}")
    scales: dict[str, np.float32] = {}
    for number, line in enumerate(lines[1:], start=2):
        if line.strip():
            name, scale = _entry(line, f"{origin}, line {number}")
            if number == len(lines) and len(line.rpartition(":")[2].strip()) < _DIGITS and scale != 0:
                raise CalibrationError(
                    f"{origin}, line {number}: the file ends in {line[-40:]!r}, within a scale as it seems; "
                    "copy it again or, if it is whole, end it with a line break"
                )
            known = scales.setdefault(name, scale)
            if known.tobytes() != scale.tobytes():
                raise CalibrationError(
                    f"{origin}, line {number}: tensor {name!r} has a second, other scale; delete one"
                )
    return CalibrationCache(header, scales)


def write_cache(cache: CalibrationCache, path: str | Path) -> None:
    """Write a cache file, whole or not at all.

    Raises:
        CalibrationError: a name does not fit the format, or the file cannot be written.
    """
    text = cache.to_text()
    try:
        with replacing(Path(path)) as temporary:
            temporary.write_bytes(text.encode("utf-8"))
    except OSError as error:
        raise CalibrationError(f"{path}: the cache cannot be written ({error.strerror or error})") from error


_WHAT_IT_IS = "a cache begins with a line such as TRT-8601-EntropyCalibration2"


def _entry(line: str, where: str) -> tuple[str, np.float32]:
    name, colon, digits = line.rpartition(":")
    match = _BITS.fullmatch(digits.strip())
    if not colon or not name or match is None:
        raise CalibrationError(f"{where}: {line[:80]!r} is not 'NAME: HEX' with up to eight digits; repair the line")
    # Through an array, so that the payload of a NaN stays too.
    bits = np.array([int(match[1], 16)], np.uint32)
    return name, np.float32(bits.view(np.float32)[0])


def _bits(cache: CalibrationCache) -> list[tuple[str, str]]:
    values = np.array(list(cache.scales.values()), np.float32).view(np.uint32)
    return [(name, f"{int(bits):08x}") for name, bits in zip(cache.scales, values, strict=True)]


def _version_of(text: str) -> tuple[int, int, int] | None:
    dotted = _DOTTED.fullmatch(text)
    if dotted:
        major, minor, patch = int(dotted[1]), int(dotted[2]), int(dotted[3] or 0)
        return (major, minor, patch) if major >= 10 or minor < 10 else None
    if not text.isascii() or not text.isdigit():
        return None
    number = int(text)
    if len(text) == 4:
        return number // 1000, number // 100 % 10, number % 100
    return (number // 10_000, number // 100 % 100, number % 100) if len(text) == 6 else None
