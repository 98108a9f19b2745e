"""A run, a sample and what its models answer → the page to try samples on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from quantlab.markup import Child, element
from quantlab.serve.answers import answer_sections
from quantlab.serve.page import address, page
from quantlab.serve.trial import Answer

THUMBNAILS = 24
"""Samples on one page to pick from."""


@dataclass(frozen=True, eq=False, slots=True)
class Offer:
    """The samples there are to pick from.

    Attributes:
        data: what they are called.
        numbers: those on this page.
        size: how many there are, or None where only reading tells.
        has_pictures: whether they can be shown.
        fault: why there are none, or None.
    """

    data: str = ""
    numbers: range = range(0)
    size: int | None = None
    has_pictures: bool = False
    fault: str | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Tried:
    """A sample and what came of it.

    Attributes:
        name: what the sample is called.
        picture: as a page holds it, or None where it is no picture.
        label: the right class, or None.
        answers: by model, the float one first.
        classes: their names, where they are known.
        note: what is to be said about the sample, or None.
    """

    name: str
    picture: str | None
    label: int | None
    answers: Mapping[str, Answer]
    classes: Sequence[str] = ()
    note: str | None = None


@dataclass(frozen=True, eq=False, slots=True)
class TryPage:
    """What the page shows.

    Attributes:
        run: the name of the run.
        takes: what can be uploaded, in words.
        is_grey: whether light and dark of a picture may be the wrong way round.
        offer: samples to pick from.
        tried: the sample that was picked or sent, if any.
        fault: why the sample could not be tried, or None.
    """

    run: str
    takes: str
    is_grey: bool = False
    offer: Offer = field(default_factory=Offer)
    tried: Tried | None = None
    fault: str | None = None


def try_page(shown: TryPage) -> str:
    """Return the page."""
    head = element("header", element("h1", f"Try a sample on {shown.run}"))
    fault = element("p", shown.fault, class_="verdict bad", role="alert") if shown.fault else None
    tried = [] if shown.tried is None else [_tried(shown.tried)]
    places = [(shown.run, address("/report", run=shown.run)), ("Try a sample", None)]
    return page(f"quantlab: try {shown.run}", [head, fault, *tried, _picker(shown), _upload(shown)], places=places)


def _tried(tried: Tried) -> Element:
    label = "" if tried.label is None else f"; it is labelled {_class(tried.label, tried.classes)}"
    caption = element("figcaption", f"{tried.name}{label}. {tried.note or ''}".strip())
    shown: Child = None
    if tried.picture is not None:
        shown = element("img", src=tried.picture, alt=f"{tried.name}, as the network sees it", class_="seen")
    figure = element("figure", shown, caption)
    sections = answer_sections(tried.answers, label=tried.label, classes=tried.classes)
    return element("section", element("div", figure, element("div", *sections), class_="tried"))


def _class(number: int, names: Sequence[str]) -> str:
    return f"{names[number]} ({number})" if 0 <= number < len(names) else str(number)


def _picker(shown: TryPage) -> Element:
    offer = shown.offer
    if offer.fault is not None:
        return element("section", element("h2", "Pick a sample"), element("p", offer.fault, class_="quiet"))
    known = "" if offer.size is None else f", {offer.size} samples"
    pick = element("ul", *(_pick(shown.run, number, offer) for number in offer.numbers), class_="thumbnails")
    return element(
        "section",
        element("h2", "Pick a sample"),
        element("p", f"Of {offer.data}{known}.", class_="quiet"),
        pick,
        _pages(shown.run, offer),
    )


def _pick(run: str, number: int, offer: Offer) -> Element:
    target = address("/try", run=run, sample=str(number), first=str(offer.numbers.start))
    picture = address("/picture", run=run, sample=str(number))
    shown = element("img", src=picture, alt="", loading="lazy") if offer.has_pictures else None
    return element("li", element("a", shown, element("span", str(number)), href=target, aria_label=f"Sample {number}"))


def _pages(run: str, offer: Offer) -> Element:
    start, end = offer.numbers.start, offer.numbers.stop
    links: list[Child] = []
    if start > 0:
        links += [element("a", "Earlier samples", href=address("/try", run=run, first=str(max(0, start - THUMBNAILS))))]
    if offer.size is None or end < offer.size:
        links += [element("a", "Later samples", href=address("/try", run=run, first=str(end)))]
    return element("p", *[part for link in links for part in (link, " ")], class_="pages")


def _upload(shown: TryPage) -> Element:
    file = element("input", type="file", name="file", required="required", id="file")
    swap = element("label", element("input", type="checkbox", name="inverted"), " Swap light and dark")
    form = element(
        "form",
        element("label", "File ", file),
        swap if shown.is_grey else None,
        element("button", "Try it", type="submit"),
        action=address("/try", run=shown.run),
        method="post",
        enctype="multipart/form-data",
        class_="upload",
    )
    takes = element("p", f"{shown.takes} Nothing is kept of it.", class_="quiet")
    return element("section", element("h2", "Send a sample"), takes, form)
