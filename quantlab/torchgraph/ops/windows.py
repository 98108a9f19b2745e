"""Where the windows of convolutions and poolings lie: strides, dilations and pads, with ONNX's rules.

ONNX writes pads as all begins, then all ends, and lets the two differ; torch wants them equal, or padded beforehand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch.nn.functional as functional
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Window:
    """A window that slides over the spatial axes; every tuple has one entry per axis, `pads` has two.

    Attributes:
        kernel: elements per axis.
        strides: steps from one window to the next.
        dilations: steps from one element to the next.
        pads: all begins, then all ends; negative cuts.
        auto_pad: ONNX's rule that replaces `pads`.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...]
    auto_pad: str = "NOTSET"

    @classmethod
    def of(
        cls,
        kernel: Sequence[int],
        *,
        strides: Sequence[int] = (),
        dilations: Sequence[int] = (),
        pads: Sequence[int] = (),
        auto_pad: str = "NOTSET",
    ) -> Window:
        """Return a window with ONNX's defaults where a sequence is empty."""
        ones = (1,) * len(kernel)
        auto = auto_pad or "NOTSET"
        filled = tuple(pads) or (0,) * (2 * len(kernel))
        return cls(tuple(kernel), tuple(strides) or ones, tuple(dilations) or ones, filled, auto)

    @property
    def rank(self) -> int:
        """The number of spatial axes."""
        return len(self.kernel)

    @property
    def spans(self) -> tuple[int, ...]:
        """From the first to the last element of a window, both included."""
        return tuple((size - 1) * gap + 1 for size, gap in zip(self.kernel, self.dilations, strict=True))

    @property
    def pads_begin(self) -> tuple[int, ...]:
        """The pads before the first element."""
        return self.pads[: self.rank]

    @property
    def pads_end(self) -> tuple[int, ...]:
        """The pads after the last element."""
        return self.pads[self.rank :]

    @property
    def is_symmetric(self) -> bool:
        """Whether begins and ends are equal and not negative, as torch wants them."""
        return self.pads_begin == self.pads_end and all(pad >= 0 for pad in self.pads)

    @property
    def suits_torch(self) -> bool:
        """Whether torch's poolings take the pads: equal on both sides, and at most half the window."""
        halves = zip(self.pads_begin, self.kernel, strict=True)
        return self.is_symmetric and all(pad <= size // 2 for pad, size in halves)

    def with_pads(self, pads: Sequence[int]) -> Window:
        """Return the window with these pads and no rule."""
        return replace(self, pads=tuple(pads), auto_pad="NOTSET")

    def without_pads(self) -> Window:
        """Return the window for a tensor that was padded already."""
        return self.with_pads((0,) * (2 * self.rank))

    def placed(self, sizes: Sequence[int]) -> Window:
        """Return the window with the pads that `auto_pad` means for these spatial sizes."""
        if self.auto_pad == "NOTSET":
            return self
        if self.auto_pad == "VALID":
            return self.without_pads()
        rows = zip(sizes, self.strides, self.spans, strict=True)
        totals = [max((-(-size // stride) - 1) * stride + span - size, 0) for size, stride, span in rows]
        halves = [total // 2 for total in totals]
        others = [total - half for total, half in zip(totals, halves, strict=True)]
        return self.with_pads((*halves, *others) if self.auto_pad == "SAME_UPPER" else (*others, *halves))

    def filled(self, sizes: Sequence[int], *, ceil_mode: bool) -> Window:
        """Return the window with end pads such that its last step ends exactly where the padded tensor does.

        With `ceil_mode` a last window that is only partly inside counts, unless it starts in the end pads.
        """
        window = self.placed(sizes)
        ends = []
        for axis, size in enumerate(sizes):
            begin, stride, span = window.pads_begin[axis], window.strides[axis], window.spans[axis]
            room = begin + size + window.pads_end[axis] - span
            steps = -(-room // stride) if ceil_mode else room // stride
            if ceil_mode and steps * stride >= begin + size:
                steps -= 1
            ends.append(steps * stride + span - begin - size)
        return window.with_pads((*window.pads_begin, *ends))


def pad_spatial(x: Tensor, pads: Sequence[int], value: float = 0.0) -> Tensor:
    """Pad the spatial axes of x [N, C, ...] with a value; `pads` as ONNX writes them, negative cuts."""
    rank = len(pads) // 2
    # torch lists the last axis first, begin and end side by side.
    flat = [pads[axis + side * rank] for axis in reversed(range(rank)) for side in (0, 1)]
    return functional.pad(x, flat, value=value) if any(flat) else x
