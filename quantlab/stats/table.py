"""The statistics of all tensors of a model, as one table that saves, loads and merges.

The file is an .npz of a few long arrays, all tensors behind each other (one array per tensor and field would take
seconds for a thousand tensors). Equal tables give equal bytes.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from quantlab.errors import CalibrationError
from quantlab.files import DAMAGED_ARRAYS, replacing
from quantlab.stats.fragment import statistics_fragment
from quantlab.stats.tensor import TensorStatistics

_FORMAT = 1
_NO_TABLE: tuple[type[Exception], ...] = (CalibrationError, *DAMAGED_ARRAYS)


@dataclass(frozen=True, eq=False, slots=True)
class Statistics:
    """What was seen of every observed tensor of a model.

    Attributes:
        tensors: statistics by ONNX tensor name.
        samples: how many samples the model was fed.
    """

    tensors: Mapping[str, TensorStatistics]
    samples: int

    def merge(self, other: Statistics) -> Statistics:
        """Return the statistics of both sets of samples; a table without samples and tensors changes nothing.

        Raises:
            CalibrationError: the tables hold different tensors.
        """
        if not self.tensors and self.samples == 0:
            return other
        if not other.tensors and other.samples == 0:
            return self
        different = sorted(self.tensors.keys() ^ other.tensors.keys())
        if different:
            raise CalibrationError(
                f"statistics: {len(different)} tensors are in one table only, such as {different[0]!r}; "
                "merge tables of one model and one set of tensors"
            )
        merged = {name: own.merge(other.tensors[name]) for name, own in self.tensors.items()}
        return Statistics(merged, self.samples + other.samples)

    def merged(self, names: Sequence[str]) -> TensorStatistics:
        """Return the statistics of several tensors taken as one, for a group that shares an encoding.

        Raises:
            CalibrationError: `names` is empty, or a tensor is not in the table.
        """
        if not names:
            raise CalibrationError("statistics: a group without tensors has no statistics; name at least one")
        for name in names:
            if name not in self.tensors:
                raise CalibrationError(f"statistics: tensor {name!r} was not observed; collect it")
        return reduce(TensorStatistics.merge, (self.tensors[name] for name in names))

    def same_as(self, other: Statistics) -> bool:
        """Whether both hold the same statistics, bit for bit, in any order of tensors."""
        if self.samples != other.samples or self.tensors.keys() != other.tensors.keys():
            return False
        return all(own.same_as(other.tensors[name]) for name, own in self.tensors.items())

    def save(self, path: str | Path) -> None:
        """Write the table, atomically.

        Raises:
            CalibrationError: the file cannot be written.
        """
        path = Path(path)
        try:
            with replacing(path) as temporary:
                temporary.write_bytes(self.to_bytes())
        except OSError as error:
            raise CalibrationError(
                f"{path}: cannot write the statistics ({error.strerror}); check the folder"
            ) from error

    @classmethod
    def load(cls, path: str | Path) -> Statistics:
        """Read a table that `save` wrote.

        Raises:
            CalibrationError: the file cannot be read, or is not a whole table.
        """
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            raise CalibrationError(f"{path}: cannot read the statistics ({error.strerror}); check the path") from error
        return cls.from_bytes(content, origin=str(path))

    def to_bytes(self) -> bytes:
        """Return the table as the content of a file."""
        file = io.BytesIO()
        np.savez_compressed(file, allow_pickle=False, **_arrays(self))
        return file.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes, *, origin: str = "statistics") -> Statistics:
        """Return what `to_bytes` was given.

        Raises:
            CalibrationError: the bytes are not a whole table; `origin` is what the message calls them.
        """
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                return _table({name: arrays[name] for name in arrays.files})
        except _NO_TABLE as error:
            raise CalibrationError(
                f"{origin}: this is not a whole table of statistics ({error}); delete it and collect anew"
            ) from error

    def __str__(self) -> str:
        lines = [f"statistics of {len(self.tensors)} tensors over {self.samples} samples"]
        return "\n".join(lines + [f"  {name}: {statistics}" for name, statistics in self.tensors.items()])

    def _repr_html_(self) -> str:
        return statistics_fragment(self.tensors, self.samples)


def _arrays(table: Statistics) -> dict[str, npt.NDArray[Any]]:
    rows = list(table.tensors.values())
    histograms = [histogram for row in rows for histogram in (row.positive, row.negative)]
    return {
        "format": np.array(_FORMAT, np.int64),
        "samples": np.array(table.samples, np.int64),
        "names": np.frombuffer(json.dumps(list(table.tensors)).encode(), np.uint8),
        "extrema": np.array([(row.minimum, row.maximum) for row in rows], np.float64).reshape(-1, 2),
        "counts": np.array([(row.count, row.zeros) for row in rows], np.int64).reshape(-1, 2),
        "exponents": np.array([row.exponent or 0 for row in rows], np.int64),
        "bins": np.array([histogram.size for histogram in histograms], np.int64).reshape(-1, 2),
        "histograms": np.concatenate([np.zeros(0, np.int64), *histograms]),
    }


def _table(arrays: Mapping[str, npt.NDArray[Any]]) -> Statistics:
    if int(arrays["format"]) != _FORMAT:
        raise CalibrationError(f"format {int(arrays['format'])} is not {_FORMAT}")
    names = json.loads(arrays["names"].tobytes())
    ends = np.cumsum(arrays["bins"])
    if len(names) != len(arrays["bins"]) or len(names) != len(set(names)):
        raise CalibrationError("names and histograms do not match")
    if (int(ends[-1]) if ends.size else 0) != arrays["histograms"].size:
        raise CalibrationError("histograms are missing")
    parts = np.split(arrays["histograms"], ends[:-1]) if ends.size else []
    tensors = {}
    for row, name in enumerate(names):
        minimum, maximum = (float(value) for value in arrays["extrema"][row])
        count, zeros = (int(value) for value in arrays["counts"][row])
        exponent = int(arrays["exponents"][row]) if minimum != 0.0 or maximum != 0.0 else None
        positive, negative = parts[2 * row].copy(), parts[2 * row + 1].copy()
        tensors[str(name)] = TensorStatistics(minimum, maximum, count, zeros, exponent, positive, negative)
    return Statistics(tensors, int(arrays["samples"]))
