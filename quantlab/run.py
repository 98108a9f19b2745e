"""What one run made: it prints, shows itself in a notebook, and draws its histograms, sensitivity and trade-off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from quantlab import plots
from quantlab.data.batch import Batches
from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.errors import RecipeError
from quantlab.evaluation import Evaluation
from quantlab.fragments import fragment, sentence
from quantlab.graph.model import Model
from quantlab.progress import Progress, silent
from quantlab.recipe import Recipe
from quantlab.report.build import Quantized
from quantlab.report.histograms import ranges_of
from quantlab.report.report import Report
from quantlab.search import Sensitivity, measure_sensitivity
from quantlab.stats.table import Statistics

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, slots=True)
class Run:
    """What one run made.

    Attributes:
        recipe: what was asked for.
        model: the prepared float model.
        statistics: of every tensor that any plan quantizes.
        quantized: plan, encodings, INT8 model and audit by target.
        evaluation: accuracy, agreement and latency, side by side.
        report: all of it, as it is saved and shown.
        evaluation_samples: what judged the models; sensitivity is measured on them too.
        folder: where the files are, or None.
    """

    recipe: Recipe
    model: Model
    statistics: Statistics
    quantized: Mapping[str, Quantized]
    evaluation: Evaluation
    report: Report
    evaluation_samples: Batches
    folder: Path | None = None

    def __str__(self) -> str:
        return str(self.evaluation)

    def _repr_html_(self) -> str:
        verdicts = [sentence(line) for line in self.report.content["verdict"].splitlines()]
        return fragment(f"{self.model.name} in INT8", *verdicts) + self.evaluation._repr_html_()

    def sensitivity(self, target: str | None = None, *, samples: int = 32, progress: Progress = silent) -> Sensitivity:
        """Return what each quantized node costs at the output when it alone is quantized.

        Computed step by step, so it holds for the plan, not for a runtime. The model runs once per node.

        Args:
            target: whose plan; the first of the run if None.
            samples: the first so many evaluation samples.
            progress: how the step shows itself.

        Raises:
            RecipeError: the run has no such target.
            PlanError: nothing is quantized.
        """
        made = self.made_for(target)
        engine = OnnxRuntime(self.recipe.threads, optimization="none", libraries=self.recipe.libraries)
        batches = self.evaluation_samples.head(samples)
        return measure_sensitivity(self.model, made.plan, made.encodings, engine, batches, progress=progress)

    def plot_histogram(self, tensor: str, *, target: str | None = None, axes: Axes | None = None) -> Axes:
        """Draw what was seen of a tensor, with the range that every calibrator gives it; needs matplotlib.

        Args:
            tensor: the ONNX name of a quantized activation.
            target: whose plan; the first of the run if None.
            axes: where to draw, or None for a new figure.

        Raises:
            RecipeError: the run has no such target.
            PlanError: the plan has no range of this tensor to choose.
            EngineMissing: matplotlib is not installed.
        """
        made = self.made_for(target)
        calibrator = self.recipe.calibrator_with_options()
        ranges = ranges_of(tensor, (made.plan, made.encodings), self.statistics, calibrator)
        return plots.plot_histogram(self.statistics.tensors[tensor], ranges, title=tensor, axes=axes)

    def plot_sensitivity(self, target: str | None = None, *, samples: int = 32, axes: Axes | None = None) -> Axes:
        """Draw `sensitivity`, the costliest node on top; needs matplotlib."""
        return plots.plot_sensitivity(self.sensitivity(target, samples=samples), axes=axes)

    def plot_tradeoff(self, *, axes: Axes | None = None) -> Axes:
        """Draw accuracy against latency, a dot per model; needs matplotlib."""
        return plots.plot_tradeoff(self.evaluation, axes=axes)

    def made_for(self, target: str | None = None) -> Quantized:
        """Return what was made for a target; for the first of the run if None.

        Raises:
            RecipeError: the run has no such target.
        """
        name = next(iter(self.quantized)) if target is None else target
        if name not in self.quantized:
            raise RecipeError(f"target {name!r}: this run has {', '.join(self.quantized)}")
        return self.quantized[name]
