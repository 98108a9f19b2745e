"""A batch comes back in parts that stay under the cap, and every tensor of every sample comes once."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantlab.data.batch import Array
from quantlab.engines import OnnxRuntime
from quantlab.engines.parts import TappedModel, inferred_tap_bytes, measure_taps, tap_groups, tapped_outputs
from quantlab.errors import EngineError, RecipeError
from tests.engines.fake import FakeEngine
from tests.engines.models import chain, fixed_batch, model_from_text

# One sample of `chain` with the taps a and b has 3 tensors of 4 float32: 48 bytes; half of a cap is one part.
SAMPLE_BYTES = 48


def samples(count: int) -> Array:
    return np.arange(count * 4, dtype=np.float32).reshape(count, 4)


def joined(parts: Iterable[Mapping[str, Array]]) -> dict[str, Array]:
    pieces: dict[str, list[Array]] = {}
    for part in parts:
        for name, array in part.items():
            pieces.setdefault(name, []).append(array)
    return {name: np.concatenate(arrays) for name, arrays in pieces.items()}


@settings(deadline=None)
@given(count=st.integers(1, 20), cap=st.integers(1, 40 * SAMPLE_BYTES))
def test_parts_hold_every_sample_once_in_order_and_stay_under_the_cap(count: int, cap: int):
    with FakeEngine().open(chain(), taps=("a", "b")) as session:
        parts = list(tapped_outputs(session, {"x": samples(count)}, memory_cap_bytes=cap))
        whole = session.run({"x": samples(count)})
    largest = max(SAMPLE_BYTES, cap // 2)
    assert all(sum(array.nbytes for array in part.values()) <= largest for part in parts)
    for name, array in joined(parts).items():
        np.testing.assert_array_equal(array, whole[name])


def test_parts_are_as_large_as_the_cap_allows():
    engine = FakeEngine()
    with engine.open(chain(), taps=("a", "b")) as session:
        list(tapped_outputs(session, {"x": samples(10)}, memory_cap_bytes=2 * 4 * SAMPLE_BYTES))
    assert engine.batch_sizes == [1, 4, 4, 1]


def test_no_sample_runs_alone_where_its_bytes_are_known():
    engine = FakeEngine()
    with TappedModel(engine, chain(), ("a", "b"), memory_cap_bytes=2 * 4 * 32) as tapped:
        list(tapped.run({"x": samples(10)}))
    assert engine.batch_sizes == [1, 4, 4, 2]  # the first one measures


def test_samples_of_another_shape_are_measured_anew():
    model = model_from_text("g (float[N, W] x) => (float[N, W] y) { [first] a = Abs(x) [second] y = Neg(a) }")
    engine = FakeEngine()
    with TappedModel(engine, model, ("a",), memory_cap_bytes=2 * 4 * 16) as tapped:
        list(tapped.run({"x": np.ones((6, 4), np.float32)}))
        list(tapped.run({"x": np.ones((6, 8), np.float32)}))
    assert engine.batch_sizes == [1, 4, 2, 1, 2, 2, 1]


def test_a_fixed_batch_size_is_never_cut():
    engine = FakeEngine()
    with engine.open(fixed_batch(), taps=("a",)) as session:
        (part,) = tapped_outputs(session, {"x": samples(2)}, memory_cap_bytes=1)
    assert part["a"].shape == (2, 4)
    assert engine.batch_sizes == [2]


def test_feeds_of_different_lengths_are_not_cut():
    model = model_from_text(
        "g (float[N, 4] x, float[M, 4] w) => (float[N, 4] y) { [add] y = Add(x, w) }",
    )
    with FakeEngine().open(model) as session:
        (part,) = tapped_outputs(session, {"x": samples(3), "w": samples(1)}, memory_cap_bytes=1)
    assert part["y"].shape == (3, 4)


def test_a_cap_below_one_byte_is_refused():
    with FakeEngine().open(chain()) as session, pytest.raises(RecipeError, match="memory cap"):
        next(iter(tapped_outputs(session, {"x": samples(1)}, memory_cap_bytes=0)))
    with pytest.raises(RecipeError, match="memory cap"):
        TappedModel(FakeEngine(), chain(), ("a",), memory_cap_bytes=0)


@settings(deadline=None)
@given(
    sizes=st.dictionaries(st.text(min_size=1, max_size=3), st.integers(0, 100), max_size=12),
    limit=st.integers(1, 150),
)
def test_groups_keep_the_order_and_pass_the_limit_only_alone(sizes: dict[str, int], limit: int):
    groups = tap_groups(sizes, limit)
    assert [tap for group in groups for tap in group] == list(sizes)
    assert all(len(group) == 1 or sum(sizes[tap] for tap in group) <= limit for group in groups)
    # No two neighbours would have fitted into one.
    for left, right in itertools.pairwise(groups):
        assert sum(sizes[tap] for tap in left) + sizes[right[0]] > limit


@pytest.mark.parametrize("engine", [FakeEngine(), OnnxRuntime(threads=1)], ids=lambda engine: engine.name)
def test_taps_are_measured_as_large_as_they_are(engine: FakeEngine | OnnxRuntime):
    model = model_from_text(
        """
        g (float[N, 4] x) => (float[N, 4] y)
        <float s = {0.5}, int8 z = {0}, int8[N, 4] q> {
          [first] a = Abs(x)
          [q] q = QuantizeLinear(a, s, z)
          [dq] y = DequantizeLinear(q, s, z)
        }
        """
    )
    assert measure_taps(engine, model, ("x", "a", "q", "y"), {"x": samples(3)}) == {"x": 48, "a": 48, "q": 12, "y": 48}


SHAPES = {
    "free batch": "g (float[N, 4] x) => (float[N, 4] y) <float[N, 4] a> { [first] a = Abs(x) [second] y = Neg(a) }",
    "fixed batch": "g (float[2, 4] x) => (float[2, 4] y) <float[2, 4] a> { [first] a = Abs(x) [second] y = Neg(a) }",
}


@pytest.mark.parametrize("kind", SHAPES)
def test_taps_whose_shapes_are_known_are_as_large_as_a_run_would_tell(kind: str):
    model = model_from_text(SHAPES[kind])
    one_sample = samples(1 if kind == "free batch" else 2)
    measured = measure_taps(FakeEngine(), model, ("a", "y", "x"), {"x": one_sample})
    assert inferred_tap_bytes(model, ("a", "y", "x")) == measured
    engine = FakeEngine()
    with TappedModel(engine, model, ("a",)) as tapped:
        list(tapped.run({"x": one_sample}))
    assert engine.opened == [("a",)]  # no session only to measure


@pytest.mark.parametrize(
    "text",
    [
        "g (float[N, 4] x) => (float[N, 4] y) { a = Abs(x) y = Neg(a) }",
        "g (float[N, W] x) => (float[N, W] y) <float[N, W] a> { a = Abs(x) y = Neg(a) }",
        "g (float[N, 4] x) => (float[N, 4] y) <float[M, 4] a> { a = Abs(x) y = Neg(a) }",
        "g (float[?, 4] x) => (float[?, 4] y) <float[?, 4] a> { a = Abs(x) y = Neg(a) }",
        "g (float[N, 4] x, float[M, 4] w) => (float[N, 4] y) <float[N, 4] a> { a = Abs(x) y = Add(a, w) }",
    ],
    ids=["no shape", "free width", "another name", "no name", "two names"],
)
def test_taps_whose_shapes_do_not_tell_their_size_must_be_measured(text: str):
    assert inferred_tap_bytes(model_from_text(text), ("a",)) is None


@pytest.mark.parametrize("cap", [1, 32, 64, 96, 200, 10_000])
@pytest.mark.parametrize("engine", [FakeEngine(), OnnxRuntime(threads=1)], ids=lambda engine: engine.name)
def test_a_tapped_model_yields_every_tap_of_every_sample_once(engine: FakeEngine | OnnxRuntime, cap: int):
    x = samples(5) - 9
    with TappedModel(engine, chain(), ("b", "a"), memory_cap_bytes=cap) as tapped:
        for _ in range(2):  # the sessions serve every batch
            outputs = joined(tapped.run({"x": x}))
            assert set(outputs) == {"a", "b"}
            np.testing.assert_array_equal(outputs["a"], np.abs(x))
            np.testing.assert_array_equal(outputs["b"], -np.abs(x))


def test_groups_get_sessions_of_their_own_where_one_sample_is_too_large():
    engine = FakeEngine()
    with TappedModel(engine, chain(), ("a", "b", "y"), memory_cap_bytes=2 * 32) as tapped:
        assert joined(tapped.run({"x": samples(3)}))["y"].shape == (3, 4)
    assert engine.opened == [(), ("a", "b"), ("y",)]  # the first one measures


def test_a_tapped_model_keeps_a_fixed_batch_size():
    engine = FakeEngine()
    with TappedModel(engine, fixed_batch(), ("a", "y"), memory_cap_bytes=1) as tapped:
        assert joined(tapped.run({"x": samples(2)}))["a"].shape == (2, 4)
    assert set(engine.batch_sizes) == {2}


def test_a_tapped_model_without_taps_yields_nothing():
    with TappedModel(FakeEngine(), chain(), ()) as tapped:
        assert list(tapped.run({"x": samples(2)})) == []


def test_a_wrong_tap_is_told_before_the_first_batch():
    with pytest.raises(EngineError, match="tap 'nowhere'"):
        TappedModel(FakeEngine(), chain(), ("nowhere",))
