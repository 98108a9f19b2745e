"""Schemes: the integers they spread, and the ones that do not exist."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantlab.errors import PlanError
from quantlab.scheme import Scheme


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_eight_bits_reach_as_far_as_their_type(dtype: Any) -> None:
    scheme, limits = Scheme(dtype), np.iinfo(dtype)
    assert (scheme.lowest, scheme.highest) == (limits.min, limits.max)
    assert scheme.numpy_dtype == np.dtype(dtype)


def test_narrow_int8_is_its_own_mirror_image() -> None:
    scheme = Scheme("int8", narrow=True)
    assert (scheme.lowest, scheme.highest) == (-127, 127)


def test_int32_can_be_negated() -> None:
    scheme = Scheme("int32")
    assert -scheme.lowest == scheme.highest == np.iinfo(np.int32).max


def test_only_int8_can_be_narrow() -> None:
    for dtype in ("uint8", "int32"):
        with pytest.raises(PlanError, match=f"only int8 can be narrow, not {dtype}"):
            Scheme(dtype, narrow=True)


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(PlanError, match="'int4' is not among int8, uint8, int32"):
        Scheme("int4")  # type: ignore[arg-type]


def test_a_scheme_prints_what_it_is() -> None:
    assert str(Scheme("int8", axis=0)) == "int8 symmetric axis=0"
    assert str(Scheme("uint8", symmetric=False)) == "uint8 affine"
