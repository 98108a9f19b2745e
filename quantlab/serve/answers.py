"""The answers of several models to one sample → tables; what differs is marked in words, not by colour alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element

from quantlab.markup import Child, element, number, row, table
from quantlab.report.tables import SIMULATED
from quantlab.serve.trial import Answer, top_classes

_TOP = 5
_NONE = "–"
_BAR, _THICK = 64.0, 10.0


def answer_sections(
    answers: Mapping[str, Answer], *, label: int | None = None, classes: Sequence[str] = ()
) -> list[Element]:
    """Return what there is to say about one sample.

    Args:
        answers: by model, the float one first.
        label: the right class, or None.
        classes: names of the classes, where they are known.
    """
    names = _Names(classes)
    parts = [element("p", line, class_="verdict") for line in _verdict(answers, names, label)]
    shown = _probabilities(answers, names, label)
    parts += [] if shown is None else [shown]
    parts += [_costs(answers)]
    if any(answer.is_simulated for answer in answers.values()):
        parts += [element("p", SIMULATED, class_="quiet")]
    return parts


class _Names:
    """What classes are called."""

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = classes

    def of(self, at: int) -> str:
        return f"{self._classes[at]} ({at})" if 0 <= at < len(self._classes) else str(at)


def _verdict(answers: Mapping[str, Answer], names: _Names, label: int | None) -> list[str]:
    (float_name, reference), *others = answers.items()
    if reference.top is None:
        return [_about_numbers(name, answer) for name, answer in others]
    expected = names.of(reference.top)
    if all(answer.top == reference.top for _, answer in others):
        said = [f"All {len(answers)} models answer {expected}."]
    else:
        told = ", ".join(
            f"{name} {names.of(answer.top) if answer.top is not None else 'nothing'}"
            + ("" if answer.top == reference.top else " (differs)")
            for name, answer in others
        )
        said = [f"The models differ: {float_name} answers {expected}, {told}."]
    if label is not None:
        right = [name for name, answer in answers.items() if answer.top == label]
        all_right = len(right) == len(answers)
        whose = "all of them are" if all_right else f"{', '.join(right)} {'is' if len(right) == 1 else 'are'}"
        said += [f"The label is {names.of(label)}: {whose if right else 'none of them is'} right."]
    return said


def _about_numbers(name: str, answer: Answer) -> str:
    shape = "×".join(map(str, answer.shape))
    decided = "" if answer.agreeing is None else f"{answer.agreeing:.2%} of its decisions are the float model's, "
    return f"{name}: {decided}its output of {shape} numbers is {_decibels(answer.sqnr_db)}."


def _decibels(sqnr_db: float) -> str:
    if sqnr_db == math.inf:
        return "identical"
    return f"{sqnr_db:.1f} dB above its error" if math.isfinite(sqnr_db) else "without any signal"


def _probabilities(answers: Mapping[str, Answer], names: _Names, label: int | None) -> Element | None:
    classes = top_classes(answers, _TOP)
    if not classes:
        return None
    (_, reference), *others = answers.items()
    lines = []
    for at in classes:
        head = names.of(at) + (" (label)" if at == label else "")
        cells = [_share(answer, at) for answer in answers.values()]
        cells += [_difference(reference, answer, at) for _, answer in others]
        lines.append(row(head, *cells))
    heads = ["Class", *answers, *(f"{name} − {next(iter(answers))}" for name, _ in others)]
    return table(heads, lines, caption="Probabilities, ◂ at a model's answer; differences in points", class_="answers")


def _share(answer: Answer, at: int) -> Element:
    if answer.probabilities is None or at >= answer.probabilities.size:
        return number(_NONE)
    value = float(answer.probabilities[at])
    mark = element("span", "◂", class_="answer", title="answer") if at == answer.top else None
    said = element("span", f"{value:.2%}", class_="percent")
    return element("td", _bar(value), said, mark, class_="share", data_value=repr(value))


def _bar(value: float) -> Element:
    """Return a bar as long as the share; the number beside it says the same to those who do not see it."""
    width = f"{value * _BAR:.1f}"
    size = f"0 0 {_BAR:g} {_THICK:g}"
    whole = element("rect", width=f"{_BAR:g}", height=f"{_THICK:g}", class_="whole")
    part = element("rect", width=width, height=f"{_THICK:g}", class_="part")
    return element("svg", whole, part, viewBox=size, width=f"{_BAR:g}", height=f"{_THICK:g}", aria_hidden="true")


def _difference(reference: Answer, answer: Answer, at: int) -> Element:
    known = (reference.probabilities, answer.probabilities)
    if known[0] is None or known[1] is None or at >= min(known[0].size, known[1].size):
        return number(_NONE)
    points = 100 * float(known[1][at] - known[0][at])
    return number(f"{points:+.2f}", points)


def _costs(answers: Mapping[str, Answer]) -> Element:
    reference = next(iter(answers.values()))
    lines = [
        row(f"{name}*" if answer.is_simulated else name, *_cost(reference, answer)) for name, answer in answers.items()
    ]
    heads = ["Model", "Median ms", "p90 ms", "Times faster", "Signal to noise"]
    return table(heads, lines, caption="Latency on this sample, in turns, and how near the output is", class_="answers")


def _cost(reference: Answer, answer: Answer) -> list[Child]:
    noise = number(_NONE)
    if answer is not reference:
        noise = number("identical" if answer.sqnr_db == math.inf else f"{answer.sqnr_db:.1f} dB")
    timed = answer.latency
    if timed is None:
        return [number("not timed"), number(_NONE), number(_NONE), noise]
    gain = None if reference.latency is None or answer is reference else reference.latency.median_ms / timed.median_ms
    times = [number(f"{value:.3f}", value) for value in (timed.median_ms, timed.p90_ms)]
    return [*times, number(_NONE if gain is None else f"{gain:.2f}×", gain), noise]
