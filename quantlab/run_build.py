"""A run with `build` → the TensorRT plan of its INT8 model, trained or not, built while the run is not yet whole.

What would stop the build at once, such as a runtime that is not installed, stops the run before samples are read. What
goes wrong later costs the plan only: the quantized models and the report are still written, and the report says why
there is no plan.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from quantlab.audit import Audit
from quantlab.data.open import first_shapes
from quantlab.deployable import Deployable
from quantlab.deployment import Deployment, build_deployable
from quantlab.engines.tensorrt import BuildSettings, profile_for, runtime_for
from quantlab.engines.tensorrt.plan_file import sidecar_of
from quantlab.errors import QuantlabError, RecipeError
from quantlab.job import Job
from quantlab.recipe import Recipe
from quantlab.run_folder import RunFolder, int8_name, plan_name

TARGET = "tensorrt"
"""The target whose model is built."""


@dataclass(frozen=True, eq=False, slots=True)
class Built:
    """What became of a build.

    Attributes:
        deployment: the plan and what there is to know about it, or None.
        fault: why there is none, or empty.
    """

    deployment: Deployment | None
    fault: str = ""

    @property
    def audit(self) -> Audit | None:
        """What the builder made of each node."""
        return None if self.deployment is None else self.deployment.audit

    def __str__(self) -> str:
        return f"No plan was built: {self.fault}" if self.deployment is None else str(self.deployment)


def check_build(recipe: Recipe, folder: RunFolder | None) -> None:
    """Check, before anything is read, that a recipe's plan can be built here.

    Raises:
        RecipeError: the settings do not fit the runtime, or there is no folder for the plan.
        EngineMissing, EngineError: no runtime can build here.
    """
    if not recipe.build:
        return
    if folder is None:
        raise RecipeError("build: nothing says where the plan goes; give `out`")
    runtime_for(recipe.build_settings())


def settings_to_build(job: Job) -> BuildSettings | None:
    """Return how to build the plan of a job, runtime and shapes told, or None where it asks for none.

    Raises:
        RecipeError: the settings do not fit the runtime or the model, or nothing tells the size of a free axis.
        EngineMissing, EngineError: no runtime can build here.
    """
    if not job.recipe.build:
        return None
    settings = job.recipe.build_settings()
    shapes = profile_for(job.model.inputs, settings.shapes, first_shapes(job.calibration))
    return replace(settings, runtime=runtime_for(settings), shapes=shapes)


def build_into(folder: RunFolder, deployable: Deployable, settings: BuildSettings) -> Built:
    """Build the plan of a run's INT8 model and leave it with the run's unfinished files.

    Args:
        folder: of the run.
        deployable: the model and what it was quantized by.
        settings: how to build, shapes included.

    Returns:
        The build. Its plan is where it will be once the run is whole; its command lines are to be called in the
        folder, which may move.
    """
    onnx, plan = Path(int8_name(TARGET)), Path(plan_name(TARGET))
    written = folder.unfinished / plan
    try:
        made = build_deployable(deployable, onnx, plan, settings, written=written)
        return Built(replace(made, plan=folder.path / plan))
    except QuantlabError as error:
        for left in (written, sidecar_of(written)):
            left.unlink(missing_ok=True)
        return Built(None, str(error))
