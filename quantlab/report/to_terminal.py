"""A report → what a person reads in the terminal: at most 100 columns, readable without colour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.text import Text

from quantlab.evaluation import Evaluation, verdict
from quantlab.evaluation.differences import LayerDiff
from quantlab.report.built import SAME, built_lines
from quantlab.report.prose import Prose
from quantlab.report.report import Report
from quantlab.report.sensitivity import keep_float_options
from quantlab.report.tables import (
    SIMULATED,
    answers_table,
    costs_table,
    error_sentences,
    gpu_table,
    layers_table,
    nodes_in_words,
    ranges_table,
    samples_sentence,
    sensitivity_table,
)
from quantlab.report.training import training_parts

WIDTH = 100
_MOST_NOTES = 8
_MOST_REASONS = 3


def render(report: Report, *, folder: Path | None = None) -> RenderableType:
    """Return what rich prints of a report.

    Args:
        report: the report.
        folder: where the run's files are, or None if nothing was written.
    """
    content = report.content
    parts: list[RenderableType] = [Prose(content["verdict"], style="bold"), Text()]
    parts += [*_tables(content["evaluation"]), Text()]
    parts += training_parts(content["qat"]) if "qat" in content else []
    for name, target in content["targets"].items():
        parts += map(Prose, _target_lines(name, target))
        build = target.get("build")
        parts += [Prose(f"  {line}") for line in built_lines(build, content["files"])] if build else []
        parts += sensitivity_parts(name, target["sensitivity"]) if "sensitivity" in target else []
    parts += [Prose(samples_sentence(content["samples"])), Prose(_machine(content["evaluation"]["environment"]))]
    parts += _notes([*content["notes"], *content["evaluation"]["notes"]])
    parts += _hint(content)
    parts += [Prose(f"WARNING: {warning}", style="bold red") for warning in report.warnings]
    if folder is not None:
        kinds = {".int8.onnx": "INT8 model", ".plan": "TensorRT plan"}
        files = [(what, name) for end, what in kinds.items() for name in content["files"] if name.endswith(end)]
        parts += [Text(), *(_path(what, folder / name) for what, name in files)]
        parts += [_path("Report", folder / "report.json")]
        page = folder / "report.html"
        parts += [_path("As a page", page)] if page.is_file() else []
    for target in content["targets"].values():
        lines = (target.get("build") or {}).get("command_lines")
        parts += [Text(), Prose(SAME), *tool_lines(lines)] if lines else []
    return Group(*parts)


def tool_lines(command_lines: Mapping[str, str]) -> list[RenderableType]:
    """Return the command lines of a build under the names of the tools, never broken, so that they can be copied."""
    texts = [text for tool, line in command_lines.items() for text in (f"# {tool}", line)]
    return [Text(text, no_wrap=True, overflow="ignore") for text in texts]


def render_evaluation(evaluation: Evaluation) -> RenderableType:
    """Return what rich prints of models side by side."""
    content = evaluation.to_json()
    parts: list[RenderableType] = []
    if len(evaluation.rows) > 1:
        parts += [Prose(verdict(evaluation), style="bold"), Text()]
    parts += [*_tables(content), Text()]
    labelled = f"{evaluation.labelled} of them labelled" if evaluation.labelled else "none of them labelled"
    parts += [Prose(f"Evaluated on {evaluation.samples} samples of {evaluation.data}, {labelled}.")]
    parts += [Prose(_machine(content["environment"])), *_notes(evaluation.notes)]
    return Group(*parts)


def render_comparison(content: Mapping[str, Any]) -> RenderableType:
    """Return what rich prints of calibrators side by side.

    Args:
        content: the plain values of a `Comparison`.
    """
    parts: list[RenderableType] = [*(Prose(line, style="bold") for line in content["summary"]), Text()]
    parts += _tables(content["evaluation"])
    for target in dict.fromkeys(row["target"] for row in content["ranges"]):
        parts += [Text(), ranges_table(target, [row for row in content["ranges"] if row["target"] == target])]
    parts += [Text(), Prose(content["samples"]), Prose(_machine(content["evaluation"]["environment"]))]
    parts += _notes([*content["notes"], *content["evaluation"]["notes"]])
    parts += [Prose(f"WARNING: {warning}", style="bold red") for warning in content["warnings"]]
    return Group(*parts)


def render_layers(difference: LayerDiff, *, top: int) -> RenderableType:
    """Return what rich prints of two models tensor by tensor: the worst `top` tensors."""
    head = f"{difference.second} against {difference.first}, {difference.samples} samples, worst first"
    parts: list[RenderableType] = [Prose(head, style="bold"), *map(Prose, _errors(difference)), Text()]
    parts.append(layers_table(difference, top=top))
    left_out = len(difference.layers) - top
    if left_out > 0:
        parts += [Text(), Prose(f"{left_out} better tensors are not shown; --top {len(difference.layers)} shows all.")]
    return Group(*parts)


def _errors(difference: LayerDiff) -> Iterator[str]:
    """Yield what quantization and what the runtime does to each output."""
    runtime = difference.runtime
    if runtime is None:
        yield f"Runtime error: not measured: {difference.runtime_reason}."
        return
    quantization = {layer.tensor: layer for layer in difference.layers}
    total = {layer.tensor: layer for layer in runtime.total}
    for output in runtime.outputs:
        ours, both = (found.get(output.tensor) for found in (quantization, total))
        parts = [
            *([] if ours is None else [f"quantization error, {ours.sqnr}"]),
            f"runtime error of {runtime.runtime}, {output.sqnr}",
            *([] if both is None else [f"together {both.sqnr}"]),
        ]
        yield f"Output {output.tensor}: {'; '.join(parts)}."
    yield from (f"Note: {note}." for note in runtime.notes)


def to_text(report: Report, *, folder: Path | None = None) -> str:
    """Return a report as plain text, as a terminal of 100 columns without colour would show it."""
    console = Console(width=WIDTH, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(render(report, folder=folder), crop=False)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def _tables(evaluation: Mapping[str, Any]) -> list[RenderableType]:
    has_simulated = any(row["is_simulated"] for row in evaluation["rows"])
    foot = [Prose(SIMULATED)] if has_simulated else []
    tables: list[RenderableType] = [answers_table(evaluation), Text(), costs_table(evaluation)]
    on_gpu = gpu_table(evaluation)
    if on_gpu is not None:
        tables += [Text(), on_gpu, *map(Prose, _gpus(evaluation))]
    return [*tables, *foot]


def _gpus(evaluation: Mapping[str, Any]) -> Iterator[str]:
    """Yield on which GPU, with which runtime, models ran."""
    engines = [row["engine"] for row in evaluation["rows"] if row.get("gpu_latencies")]
    for runtime, number, gpu in dict.fromkeys((each["runtime"], each["version"], each["gpu"]) for each in engines):
        yield f"On {gpu}, {runtime} {number}."
    for row in evaluation["rows"]:
        if "products" in row["engine"]:
            yield f"{row['name']}: products computed in {row['engine']['products']}."


def _notes(notes: Any) -> Iterator[RenderableType]:  # noqa: ANN401 (a list of JSON)
    for note in notes[:_MOST_NOTES]:
        yield Prose(f"Note: {note}")
    if len(notes) > _MOST_NOTES:
        yield Prose(f"Note: {len(notes) - _MOST_NOTES} more notes are in the report.")


def _target_lines(name: str, target: Mapping[str, Any]) -> list[str]:
    """Return how much of a model a target quantizes, what the runtime made of it, and why the rest is float."""
    planned, floats = len(target["integer_nodes"]), target["float_nodes"]
    quantized = f"{nodes_in_words(planned)} planned in integers, {len(target['tensors'])} tensors quantized"
    lines = [f"{name}: {quantized}{_ran(target)}."]
    reasons = Counter(row["reason"] for row in floats)
    lines += [f"  {nodes_in_words(count)} float: {reason}" for reason, count in reasons.most_common(_MOST_REASONS)]
    rest = sum(count for _, count in reasons.most_common()[_MOST_REASONS:])
    lines += [f"  {nodes_in_words(rest)} float for other reasons; the report tells all."] if rest else []
    lines += [f"  {sentence}" for sentence in error_sentences(target)]
    audit = target["audit"] or {"rows": []}
    wrong = [row for row in audit["rows"] if row["is_integer"] != (row["planned"] == "integer")]
    return lines + [f"  Not as planned: {row['node']} ({row['op_type']}): {row['reason']}" for row in wrong]


def sensitivity_parts(name: str, section: Mapping[str, Any]) -> list[RenderableType]:
    """Return what rich prints of the nodes of a target, each quantized alone."""
    parts: list[RenderableType] = [Text(), sensitivity_table(name, section), Text()] if section["nodes"] else []
    parts.append(Prose(f"{name}: {section['summary']}"))
    return [*parts, _whole("  Add", keep_float_options(section["suggested"]))] if section["suggested"] else parts


def _hint(content: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Yield how to find the nodes to blame, where a target of `ptq` lost accuracy and nobody looked for them."""
    lost = {row["name"] for row in content["evaluation"]["rows"] if row["drop"] and row["drop"]["interval"][0] > 0}
    if any(name in lost and "sensitivity" not in target for name, target in content["targets"].items()):
        yield Prose("Which nodes cost the accuracy: the same command with --sensitivity-samples 32 finds out.")


def _ran(target: Mapping[str, Any]) -> str:
    if not target["integer_nodes"]:
        return ""
    audit = target["audit"]
    if audit is None:
        return "; what its runtime makes of them was not measured here"
    share = "all" if audit["share"] == 1 else format(audit["share"], ".0%")
    is_built = bool(target.get("build"))  # and nothing of it has run
    where = f"are INT8 layers of the plan that {audit['engine']} built" if is_built else f"run so on {audit['engine']}"
    return f"; {share} of them {where}"


def _machine(environment: Mapping[str, Any]) -> str:
    instructions = ", ".join(environment["instructions"] or []) or "no INT8 instructions"
    cores, version = environment["usable_cores"], environment["packages"].get("onnxruntime", "?")
    return f"On {environment['cpu']} ({cores} threads, {instructions}), onnxruntime {version}."


def _path(what: str, path: Path) -> RenderableType:
    return _whole(what, str(path))


def _whole(what: str, said: str) -> RenderableType:
    """Return a line that is never broken, so that it can be copied."""
    return Text(f"{what}: {said}", overflow="ignore", no_wrap=True)
