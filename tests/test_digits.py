"""The bundled network on the bundled digits: what `quantlab ptq` promises a newcomer."""

import pytest

from quantlab.calibrate import calibrate
from quantlab.calibrators import CALIBRATORS, calibrator_named
from quantlab.data.digits import DigitsSource
from quantlab.evaluation import Evaluation
from quantlab.job import Inputs, Job, open_job
from quantlab.pipeline import evaluate_for, quantize
from quantlab.recipe import Recipe
from quantlab.resume import collect_for
from quantlab.stats.table import Statistics
from quantlab.targets import TARGETS

# Points of accuracy; 0.3 is less than two of the 640 evaluation digits.
LARGEST_DROP = 0.3


@pytest.fixture(scope="module")
def job() -> Job:
    return open_job(Recipe(targets=tuple(TARGETS), threads=1, latency_batches=()))


@pytest.fixture(scope="module")
def statistics(job: Job) -> Statistics:
    return collect_for(job).statistics


@pytest.fixture(scope="module")
def evaluation(job: Job, statistics: Statistics) -> Evaluation:
    models = {
        f"{target} {name}": quantize(job, plan, statistics, calibrator_named(name)).model
        for target, plan in job.plans.items()
        for name in CALIBRATORS
    }
    return evaluate_for(job, models)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_int8_keeps_the_accuracy_of_the_digits(evaluation, target, calibrator):
    drop = evaluation.row(f"{target} {calibrator}").drop
    assert drop.total >= 600
    assert drop.points <= LARGEST_DROP


def test_the_float_network_knows_the_digits(evaluation):
    assert evaluation.reference.accuracies[0].share >= 0.97


def test_onnx_runtime_runs_every_planned_node_in_integers(job, statistics):
    made = quantize(job, job.plans["onnxruntime"], statistics, calibrator_named("entropy"))
    assert made.audit is not None
    assert made.audit.share == 1.0


class Shuffled:
    """The calibration digits in another order."""

    def __init__(self, order: list[int]) -> None:
        self.batches = list(DigitsSource("calibration").read(0, 96, 1))
        self.order = order

    def __iter__(self):
        return (self.batches[number].feeds for number in self.order)


@pytest.fixture(scope="module")
def partitions() -> list[Statistics]:
    """The same 96 digits in batches of 1, 7 and 64, backwards, and shared by three workers."""
    order = list(range(96))
    alike = [_statistics(Shuffled(order), size) for size in (1, 7, 64)] + [_statistics(Shuffled(order[::-1]), 8)]
    workers = [_statistics(Shuffled(order[start::3]), 8) for start in range(3)]
    return [*alike, workers[1].merge(workers[2]).merge(workers[0])]


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_encodings_are_the_same_bytes_for_any_batch_size_order_and_workers(job, partitions, calibrator):
    first, *others = [_encoded(job, statistics, calibrator) for statistics in partitions]
    assert len(first) > 50
    assert all(other == first for other in others)


def _statistics(data: object, batch_size: int) -> Statistics:
    recipe = Recipe(targets=tuple(TARGETS), threads=1, batch_size=batch_size)
    return collect_for(open_job(recipe, Inputs(data=data, eval_data="digits:evaluation"))).statistics


def _encoded(job: Job, statistics: Statistics, calibrator: str) -> dict[str, bytes]:
    return {
        f"{target} {name}": encoding.scale.tobytes() + encoding.zero_point.tobytes()
        for target, plan in job.plans.items()
        for name, encoding in calibrate(job.model, plan, statistics, calibrator_named(calibrator)).items()
    }
