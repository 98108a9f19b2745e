"""Answers that differ from the float model's → how often, which became which, and what such samples look like."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element

from quantlab.evaluation.answers import NO_ANSWER
from quantlab.markup import Child, element, number, row, table
from quantlab.report.joining import bits_of

_PICTURE = re.compile(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/=]+")
_KINDS = {
    "lost": "Right before, wrong now",
    "gained": "Wrong before, right now",
    "changed": "Another answer, neither the gain nor the loss of a right one",
}
_MOST_PAIRS = 20


def flips(content: Mapping[str, Any]) -> Element | None:
    """Return the section on flipped answers; None where samples have no one answer."""
    section = content.get("flips")
    if not section:
        return None
    models = [
        _model(name, told, section["pictures"], content["evaluation"]) for name, told in section["models"].items()
    ]
    return element("section", element("h2", "Answers that changed"), *models)


def _model(name: str, told: Mapping[str, Any], pictures: Mapping[str, str], evaluation: Mapping[str, Any]) -> Element:
    flipped, total = told["flipped"], told["total"]
    said = (
        f"{flipped} of {total} samples have another answer than from the float model."
        if flipped
        else (f"All {total} samples have the same answer as from the float model.")
    )
    parts: list[Child] = [element("h3", name), element("p", said), _right_and_wrong(name, evaluation)]
    if flipped:
        parts.append(_pairs(name, told["pairs"]))
        kinds = {kind: [each for each in told["samples"] if _kind(each) == kind] for kind in _KINDS}
        parts += [part for kind, samples in kinds.items() if samples for part in _gallery(kind, samples, pictures)]
    return element("div", *parts)


def _right_and_wrong(name: str, evaluation: Mapping[str, Any]) -> Element | None:
    rows = evaluation["rows"]
    own = next((each for each in rows if each["name"] == name), None)
    bits = [None if each is None else bits_of(each, evaluation["labelled"]) for each in (rows[0], own)]
    before, after = bits
    if before is None or after is None:
        return None
    lines = [
        row(f"Float model {word}", *(number(str(int((mine & theirs).sum()))) for theirs in (after, ~after)))
        for word, mine in (("right", before), ("wrong", ~before))
    ]
    heads = ["", f"{name} right", f"{name} wrong"]
    return table(
        heads, lines, caption=f"Right and wrong answers on {evaluation['labelled']} labelled samples", class_="small"
    )


def _pairs(name: str, pairs: Sequence[Sequence[int]]) -> Element:
    lines = [row(str(before), _told(after), number(str(count), count)) for before, after, count in pairs[:_MOST_PAIRS]]
    caption = f"Which answer became which, most frequent first: {name}"
    return table(["Float model's answer", "Its answer", "Samples"], lines, caption=caption, class_="small")


def _gallery(kind: str, samples: Sequence[Mapping[str, Any]], pictures: Mapping[str, str]) -> list[Element]:
    items = [_sample(each, pictures.get(str(each["sample"]), "")) for each in samples]
    return [element("h4", _KINDS[kind]), element("ul", *items, class_="gallery")]


def _sample(sample: Mapping[str, Any], picture: str) -> Element:
    label = "" if sample["label"] is None else f", label {sample['label']}"
    shown = None
    if _PICTURE.fullmatch(picture):
        shown = element("img", src=picture, alt=f"Sample {sample['sample']}")
    became = element("span", f"{sample['reference']} → {_told(sample['answer'])}", class_="became")
    return element("li", shown, became, element("span", f"sample {sample['sample']}{label}", class_="quiet"))


def _told(answer: int) -> str:
    return "NaN" if answer == NO_ANSWER else str(answer)


def _kind(sample: Mapping[str, Any]) -> str:
    if sample["label"] == sample["reference"]:
        return "lost"
    return "gained" if sample["label"] == sample["answer"] else "changed"
