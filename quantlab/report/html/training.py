"""The section `qat` of a report → what training gained, its curves, what it moved, and what of it is deployed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element

from quantlab.markup import Child, element, number, row, table
from quantlab.report.html.curves import Curve, curves

_NONE = "–"


def training(content: Mapping[str, Any]) -> Element | None:
    """Return the section on the training; None where there was none."""
    if "qat" not in content:
        return None
    section, epochs = content["qat"], content["qat"]["epochs"]
    parts: list[Child] = [
        element("h2", "Training"),
        element("p", section["summary"]),
        _gains(content["evaluation"]["rows"], section),
        *_curves(epochs),
        _epochs(epochs, section["best"]),
        _scales(section["scales_moved"]),
        _parity(section["parity"]),
        _settings(section["settings"]),
    ]
    return element("section", *parts)


def _gains(rows: Sequence[Mapping[str, Any]], section: Mapping[str, Any]) -> Element | None:
    lines = [line for model in rows for line in _gain(model)]
    if not lines:
        return None
    against = section["drop_against_start"]
    if against is not None:
        low, high = against["interval"]
        lines.append(
            row(
                f"gain over {section['start']}",
                *(number(text) for text in ("", "", f"{-against['points']:+.2f}", f"{-high:+.2f} to {-low:+.2f}")),
            )
        )
    heads = ["Model", "Accuracy", "95 % interval", "Points against fp32", "95 % interval, paired"]
    return table(heads, lines, caption="From float to quantized to trained, on the evaluation samples")


def _gain(model: Mapping[str, Any]) -> Iterator[Element]:
    for accuracy in model["accuracies"][:1]:
        drop = model["drop"]
        points = [_NONE, _NONE]
        if drop is not None:
            low, high = drop["interval"]
            points = [f"{0.0 - drop['points']:+.2f}", f"{-high:+.2f} to {-low:+.2f}"]
        interval = " to ".join(f"{end:.2%}" for end in accuracy["interval"])
        yield row(model["name"], *(number(text) for text in (f"{accuracy['share']:.2%}", interval, *points)))


def _curves(epochs: Sequence[Mapping[str, Any]]) -> Iterator[Element]:
    trained = [(epoch["number"], epoch["loss"]) for epoch in epochs if epoch["loss"] is not None]
    held_out = [(epoch["number"], epoch["score"]["loss"]) for epoch in epochs if epoch["score"]["loss"] is not None]
    rates = [(epoch["number"], epoch["learning_rate"]) for epoch in epochs if epoch["learning_rate"] is not None]
    yield curves("Loss", [Curve("trained on", trained), Curve("held out", held_out)])
    counted = [(epoch["number"], 100 * share) for epoch in epochs if (share := _share(epoch["score"])) is not None]
    if counted:
        yield curves(f"{epochs[0]['score']['measure'].capitalize()} in %, held out", [Curve("held out", counted)])
    yield curves("Learning rate in the middle of an epoch", [Curve("weights", rates)])


def _epochs(epochs: Sequence[Mapping[str, Any]], best: int) -> Element:
    lines = []
    for epoch in epochs:
        score, share = epoch["score"], _share(epoch["score"])
        name = f"epoch {epoch['number']}" if epoch["number"] else "start"
        cells = (
            _figure(epoch["loss"], ".4g"),
            _figure(score["loss"], ".4g"),
            _figure(share, ".2%"),
            _figure(epoch["learning_rate"], ".2g"),
            _figure(epoch["seconds"], ".1f"),
        )
        lines.append(row(f"{name} (kept)" if epoch["number"] == best else name, *cells))
    heads = ["", "Loss", "Loss, held out", f"{epochs[0]['score']['measure'].capitalize()}, held out"]
    if all(_share(epoch["score"]) is None for epoch in epochs):
        heads[3] = "Right answers"
    return table([*heads, "Learning rate", "Seconds"], lines, caption="Epochs; held-out samples choose the one kept")


def _scales(moved: Sequence[Mapping[str, Any]]) -> Element | None:
    if not moved:
        return None
    lines = [
        row(
            scale["tensor"],
            scale["role"],
            number(f"{scale['factor']:.3f}", math.log(scale["factor"])),
            _figure(scale["before"], ".4g"),
            _figure(scale["after"], ".4g"),
        )
        for scale in moved
    ]
    heads = ["Tensor", "Role", "Times", "Scale before", "Scale after"]
    return table(
        heads, lines, caption="Scales that training moved, the farthest first; of a weight its farthest channel"
    )


def _parity(parity: Mapping[str, Any]) -> Element:
    steps = parity["worst_steps"]
    lines = [
        row("Samples that both were fed", number(str(parity["samples"]))),
        row("Equal answers", number(f"{parity['agreeing']} of {parity['answers']}" if parity["answers"] else _NONE)),
        row("Worst error of the output", _figure(parity["worst_error"], ".4g")),
        row(_unit(parity), number(_NONE if steps is None else f"{steps:.2f}")),
    ]
    return table(
        ["INT8 model against trained module", ""], lines, caption="Whether what was trained is what is deployed"
    )


def _unit(parity: Mapping[str, Any]) -> str:
    if parity.get("is_quantized", True):
        return "The same in quantization steps"
    return "The same in steps of 8 bits over the range of the output, which is float"


def _settings(settings: Mapping[str, Any]) -> Element:
    lines = [row(name, _told(value)) for name, value in settings.items()]
    made = table(["Setting", "Value"], lines, caption="Settings of the training, as in qat.toml", class_="pairs")
    return element("details", element("summary", "All settings of the training"), made)


def _told(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or _NONE
    return _NONE if value is None else str(value)


def _share(score: Mapping[str, Any]) -> float | None:
    return score["right"] / score["total"] if score["total"] else None


def _figure(value: float | None, form: str) -> Element:
    return number(_NONE) if value is None else number(format(value, form), value)
