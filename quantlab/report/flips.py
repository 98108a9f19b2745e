"""Flipped answers → a section of `report.json`: counts, the pairs, some samples and their pictures as data URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from quantlab.data.preprocess import Preprocess
from quantlab.evaluation import Evaluation
from quantlab.evaluation.flips import Flips, Picture

MOST_PAIRS = 100
# Above this side a photograph as JPEG takes a fifth of the room of a PNG.
_LARGEST_PNG = 32


def flips_section(evaluation: Evaluation, preprocess: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what the models of an evaluation answer otherwise than the float model; None where samples have no answer.

    Args:
        evaluation: models side by side.
        preprocess: how images became inputs, by setting; undone where given, else a picture's own extremes become
            black and white.
    """
    flips = {row.name: row.flips for row in evaluation.rows if row.flips is not None}
    if not flips:
        return None
    how = Preprocess.from_dict(preprocess) if preprocess else None
    pictures = {
        str(flip.sample): data_uri(flip.picture, how)
        for each in flips.values()
        for flip in each.kept
        if flip.picture is not None
    }
    return {"models": {name: _told(each) for name, each in flips.items()}, "pictures": pictures}


def data_uri(picture: Picture, preprocess: Preprocess | None) -> str:
    """Return a picture as it stands in a page.

    Args:
        picture: float32 [height, width, 1 or 3], in the units of the model's input.
        preprocess: what made them, or None.
    """
    from PIL import Image

    pixels = _pixels(picture, preprocess)
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    is_small, file = max(image.size) <= _LARGEST_PNG, io.BytesIO()
    kind = "png" if is_small else "jpeg"
    image.save(file, format=kind, quality=80)  # which a PNG does not look at
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def _pixels(picture: Picture, preprocess: Preprocess | None) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return uint8 [height, width, 1 or 3]."""
    if preprocess is not None:
        mean, std = np.array(preprocess.mean, np.float32), np.array(preprocess.std, np.float32)
        values = (picture * std + mean) / preprocess.scale
        values = values[:, :, ::-1] if preprocess.channels == "BGR" else values
    else:
        finite = np.nan_to_num(picture, posinf=0.0, neginf=0.0)
        low, high = float(finite.min()), float(finite.max())
        values = 255 * (finite - low) / (high - low if high > low else 1.0)
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


def _told(flips: Flips) -> dict[str, Any]:
    pairs = [[before, after, count] for (before, after), count in flips.pairs.items()]
    return {
        "total": flips.total,
        "flipped": sum(flips.pairs.values()),
        "pairs": pairs[:MOST_PAIRS],
        "samples": [
            {"sample": flip.sample, "label": flip.label, "reference": flip.reference, "answer": flip.answer}
            for flip in flips.kept
        ],
    }
