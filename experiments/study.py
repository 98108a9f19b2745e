"""What the studies share: runs of `quantlab run`, results.json, and the parts of README that are made from it.

A study is a folder with `recipe.toml`, which `quantlab run` takes as it is, and `run.py`, which varies that recipe:

    measure() -> results        what results.json holds
    table(results) -> str       the table of the study's README
    answer(results) -> str      the sentence of experiments/README.md
"""

from __future__ import annotations

import contextlib
import io
import json
from importlib import import_module
from pathlib import Path
from typing import Any

from quantlab.cli import main as quantlab
from quantlab.files import replacing
from quantlab.recipe import Recipe

HERE = Path(__file__).parent
RUNS = Path("experiments/runs")  # in the working folder, as the files that recipes name
STUDIES = tuple(path.parent.name for path in sorted(HERE.glob("*/recipe.toml")))


class Study:
    """One study.

    Attributes:
        folder: where it is.
        script: its `run.py`.
    """

    def __init__(self, name: str) -> None:
        self.folder = HERE / name
        self.script = import_module(f"experiments.{name}.run")

    @property
    def results(self) -> Any:  # noqa: ANN401 (each study has results of its own form)
        """What results.json holds."""
        return json.loads((self.folder / "results.json").read_text(encoding="utf-8"))

    def parts(self, results: Any) -> dict[Path, str]:  # noqa: ANN401 (see above)
        """Return what stands word for word in which README."""
        return {
            self.folder / "README.md": self.script.table(results),
            HERE / "README.md": self.script.answer(results),
        }

    def repeat(self) -> None:
        """Measure anew, and put the results into results.json and in the place of the old ones into the READMEs."""
        before, results = self.results, self.script.measure()
        with replacing(self.folder / "results.json") as temporary:
            temporary.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        for (path, old), new in zip(self.parts(before).items(), self.parts(results).values(), strict=True):
            text = path.read_text(encoding="utf-8")
            with replacing(path) as temporary:
                temporary.write_text(text.replace(old, new), encoding="utf-8")


def quantlab_run(recipe: Recipe, folder: Path) -> dict[str, Any]:
    """Do what a recipe says, with `quantlab run RECIPE --out FOLDER`, and return the report.json that it wrote.

    Args:
        recipe: what to do.
        folder: for the files of the run; the recipe is written beside it.
    """
    file = folder.with_name(f"{folder.name}.toml")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(recipe.to_toml(), encoding="utf-8")
    arguments = ["run", str(file), "--out", str(folder), "--quiet"]
    print("$ quantlab", *arguments, flush=True)
    with contextlib.redirect_stdout(io.StringIO()):
        code = quantlab(arguments)
    if code != 0:
        raise SystemExit(code)  # the error is on stderr
    report: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return report


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """Return a table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def recipe_of(script: str) -> Recipe:
    """Return the recipe beside a study's script."""
    return Recipe.load(Path(script).with_name("recipe.toml"))
