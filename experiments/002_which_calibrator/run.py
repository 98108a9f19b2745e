"""Which calibrator suits which shape of tensor: ReLU, SiLU, gates, logits, attention.

Run from the repository's root:  python experiments/002_which_calibrator/run.py
It reads recipe.toml beside it and writes results.json there.

Real tensors are those of the bundled network. Shapes it does not have are drawn from a distribution, with a seed:
attention is the softmax of normal scores, and a tail is normal noise with a share of it twenty times as large.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from quantlab.affine import Range
from quantlab.calibrators import CALIBRATORS, calibrator_named
from quantlab.calibrators.squared_error import squared_errors
from quantlab.comparison import compare
from quantlab.files import replacing
from quantlab.job import Job, open_job
from quantlab.recipe import Recipe
from quantlab.resume import collect_for
from quantlab.scheme import Scheme
from quantlab.stats import statistics_of
from quantlab.stats.tensor import TensorStatistics

HERE = Path(__file__).parent
SCHEMES = {"uint8 affine": Scheme("uint8", symmetric=False), "int8 symmetric": Scheme("int8")}
DRAWN = 200_000
ATTENTION_KEYS = 197
OUTLIERS = 20


def main() -> None:
    """Write results.json: the error of every calibrator on every tensor, and whole networks."""
    recipe = Recipe.load(HERE / "recipe.toml")
    job = open_job(recipe)
    found = {**_of_network(job), **_drawn(recipe.seed)}
    rows = [_row(name, shape, seen, words) for name, (shape, seen) in found.items() for words in SCHEMES]
    evaluation = compare(job).evaluation
    networks = [
        {"name": row.name, "sqnr_db": row.sqnr.db if row.sqnr else None, "drop": row.drop.points if row.drop else None}
        for row in evaluation.rows[1:]
    ]
    with replacing(HERE / "results.json") as temporary:
        temporary.write_text(json.dumps({"tensors": rows, "networks": networks}, indent=1) + "\n", encoding="utf-8")


def _of_network(job: Job) -> dict[str, tuple[str, TensorStatistics]]:
    """Return the network's tensors by name, with the operator that computes them."""
    seen = collect_for(job).statistics.tensors
    nodes = {value.name: node for node in job.model.graph for value in node.outputs}
    shapes = {name: nodes[name].op_type if name in nodes else "input" for name in seen}
    return {name: (shapes[name], statistics) for name, statistics in seen.items()}


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


if __name__ == "__main__":
    main()
