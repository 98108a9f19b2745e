"""Which calibrator suits which shape of tensor: ReLU, SiLU, gates, logits, attention.

Real tensors are those of the bundled network. Shapes it does not have are drawn from a distribution, with a seed:
attention is the softmax of normal scores, and a tail is normal noise with a share of it twenty times as large.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from experiments.study import RUNS, markdown, quantlab_run, recipe_of
from quantlab.affine import Range
from quantlab.calibrators import CALIBRATORS, calibrator_named
from quantlab.calibrators.squared_error import squared_errors
from quantlab.graph.load import load
from quantlab.scheme import Scheme
from quantlab.stats import statistics_of
from quantlab.stats.table import Statistics
from quantlab.stats.tensor import TensorStatistics

SCHEMES = {"uint8 affine": Scheme("uint8", symmetric=False), "int8 symmetric": Scheme("int8")}
SHOWN = {
    "ReLU (`relu_2`)": ("relu_2", "uint8 affine"),
    "the same ReLU": ("relu_2", "int8 symmetric"),
    "convolution (`getitem_12`)": ("getitem_12", "uint8 affine"),
    "SiLU (`silu`)": ("silu", "uint8 affine"),
    "the same SiLU": ("silu", "int8 symmetric"),
    "drawn: gate": ("drawn: gate", "uint8 affine"),
    "drawn: logits": ("drawn: logits", "uint8 affine"),
    "drawn: attention": ("drawn: attention", "uint8 affine"),
    "the same attention": ("drawn: attention", "int8 symmetric"),
    "drawn: outliers": ("drawn: outliers", "uint8 affine"),
}
DRAWN = 200_000
ATTENTION_KEYS = 197
OUTLIERS = 20

Results = dict[str, list[dict[str, Any]]]


def measure() -> Results:
    """Return the error of every calibrator on every tensor, and on whole networks."""
    recipe = recipe_of(__file__)
    networks = []
    for calibrator in CALIBRATORS:
        varied = dataclasses.replace(recipe, calibrator=calibrator)
        rows = quantlab_run(varied, RUNS / "002" / calibrator)["evaluation"]["rows"][1:]
        networks += [
            {
                "target": row["name"],
                "calibrator": calibrator,
                "sqnr_db": row["sqnr"]["sqnr_db"],
                "drop": row["drop"]["points"],
            }
            for row in rows
        ]
    found = {**_of_network(), **_drawn(recipe.seed)}
    tensors = [_row(name, shape, seen, words) for name, (shape, seen) in found.items() for words in SCHEMES]
    return {"tensors": tensors, "networks": networks}


def table(results: Results) -> str:
    """Return the SQNR of SHOWN and of whole networks in dB as Markdown, the best of a row in bold."""
    tensors = {(row["tensor"], row["scheme"]): row["calibrators"] for row in results["tensors"]}
    lines = []
    for name, (tensor, scheme) in SHOWN.items():
        cells = [tensors[tensor, scheme][calibrator]["sqnr_db"] for calibrator in CALIBRATORS]
        lines.append([name, scheme.split()[0], *_best_in_bold(cells)])
    for target, cells in _whole(results).items():
        lines.append([f"whole network, {target}", "", *_best_in_bold(list(cells.values()))])
    return markdown(["tensor", "scheme", *CALIBRATORS], lines)


def answer(results: Results) -> str:
    """Return which calibrator keeps the output of whole networks closest."""
    best = {target: max(cells, key=cells.__getitem__) for target, cells in _whole(results).items()}
    return (
        f"The output stays closest with {' and with '.join(f'{name} for {target}' for target, name in best.items())}."
    )


def _whole(results: Results) -> dict[str, dict[str, float]]:
    """Return the output's SQNR in dB by target and calibrator."""
    targets = dict.fromkeys(row["target"] for row in results["networks"])
    return {
        target: {row["calibrator"]: row["sqnr_db"] for row in results["networks"] if row["target"] == target}
        for target in targets
    }


def _best_in_bold(decibels: list[float]) -> list[str]:
    words = [f"{value:.1f}" for value in decibels]
    best = f"{max(decibels):.1f}"
    return [f"**{word}**" if word == best else word for word in words]


def _of_network() -> dict[str, tuple[str, TensorStatistics]]:
    """Return the network's tensors by name, with the operator that computes them, as a run left them."""
    folder = RUNS / "002" / "entropy"
    seen = Statistics.load(folder / "stats.npz").tensors
    nodes = {value.name: node for node in load(folder / "model.fp32.onnx").graph for value in node.outputs}
    return {name: (nodes[name].op_type if name in nodes else "input", found) for name, found in seen.items()}


def _drawn(seed: int) -> dict[str, tuple[str, TensorStatistics]]:
    rng = np.random.default_rng(seed)
    normal = rng.normal(size=DRAWN)
    tail = normal.copy()
    tail[:OUTLIERS] *= 20
    scores = np.exp(2 * rng.normal(size=(DRAWN // ATTENTION_KEYS, ATTENTION_KEYS)))
    arrays = {
        "drawn: ReLU": np.maximum(normal, 0),
        "drawn: SiLU": 3 * normal / (1 + np.exp(-3 * normal)),
        "drawn: gate": 1 / (1 + np.exp(-3 * normal)),
        "drawn: logits": rng.laplace(size=DRAWN) * 4,
        "drawn: attention": scores / scores.sum(axis=1, keepdims=True),
        "drawn: outliers": tail,
    }
    return {name: ("drawn", statistics_of(array.astype(np.float32))) for name, array in arrays.items()}


def _row(name: str, shape: str, seen: TensorStatistics, words: str) -> dict[str, object]:
    """Return the SQNR of one tensor under every calibrator, and the share of values cut off."""
    scheme = SCHEMES[words]
    power = _power(seen)
    calibrators = {}
    for calibrator in CALIBRATORS:
        chosen = calibrator_named(calibrator).range_of(seen, scheme)
        error = float(squared_errors(seen, scheme, Range.of([chosen.low], [chosen.high]))[0])
        sqnr = None if error == 0 else float(10 * np.log10(power / error))
        calibrators[calibrator] = {"low": float(chosen.low), "high": float(chosen.high), "sqnr_db": sqnr}
    return {
        "tensor": name,
        "from": shape,
        "scheme": words,
        "zeros": seen.zeros / seen.count,
        "calibrators": calibrators,
    }


def _power(seen: TensorStatistics) -> float:
    """Return the sum of squares in units of a squared bin width, from bin centres."""
    return sum(float(side @ (np.arange(side.size) + 0.5) ** 2) for side in (seen.positive, seen.negative) if side.size)
