"""Models + the same samples → what each got right, and how far each agrees with the first; one pass over the data.

All models are open at once and see one batch after the other; of the outputs, one batch is kept at a time.

An output that is NaN is refused, but for a model in half precision that is compared with another: half precision ends
at 65504, and what becomes of that is a finding. Such a sample counts as answered wrongly, whatever its label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import numpy as np

from quantlab.data.batch import Array, Batch, Batches, Feeds, InputSpec
from quantlab.engines.engine import Engine, Session
from quantlab.errors import DataError
from quantlab.evaluation.accuracy import Bits
from quantlab.evaluation.agreement import Agreement, AgreementCount, Sqnr, SqnrSum
from quantlab.evaluation.answers import (
    NO_ANSWER,
    Task,
    answers_of,
    are_nan,
    check_numbers,
    output_name,
    right_answers,
)
from quantlab.evaluation.flips import FlipCount, Flips
from quantlab.evaluation.latency import repeated
from quantlab.evaluation.sample_hash import SampleHash
from quantlab.graph.half import is_half
from quantlab.graph.model import Model


@dataclass(frozen=True, eq=False, slots=True)
class Judgement:
    """What one model did with the samples.

    Attributes:
        output: the output that was judged.
        correct: by k, bool [labelled samples] whether the label was among the k first; empty without labels.
        agreement: with the first model, or None for the first itself and where there are no answers.
        sqnr: against the first model, or None for the first itself.
        flips: answers that differ from the first model's, or None for the first itself and where samples have no
            one answer.
        nan_samples: how many outputs of a model in half precision were NaN.
    """

    output: str
    correct: Mapping[int, Bits]
    agreement: Agreement | None
    sqnr: Sqnr | None
    flips: Flips | None
    nan_samples: int = 0


@dataclass(frozen=True, eq=False, slots=True)
class Judged:
    """What all models did with the same samples.

    Attributes:
        judgements: by the name of the model.
        samples: how many there were.
        samples_sha256: what tells these samples from others; see `SampleHash`.
    """

    judgements: Mapping[str, Judgement]
    samples: int
    samples_sha256: str


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """What counts as an answer.

    Attributes:
        output: the output to judge, or None for the first.
        top_k: the values of k to count right answers for.
        task: whether to look for answers at all.
    """

    output: str | None = None
    top_k: tuple[int, ...] = (1,)
    task: Task = "auto"


def judge(
    models: Mapping[str, Model],
    engines: Mapping[str, Engine],
    batches: Batches,
    settings: JudgeSettings,
    on_progress: Callable[[int], None] | None = None,
) -> Judged:
    """Return what each model did, by name, and which samples there were.

    Raises:
        DataError: there is not a single sample, or the data do not fit a model.
        EngineError: an engine refuses a model, outputs cannot be compared, or an output is NaN where it may not.
    """
    reference = next(iter(models.values()))
    samples, seen = 0, SampleHash()
    with ExitStack() as stack:
        tallies = {}
        for name, model in models.items():
            session = stack.enter_context(engines[name].open(model))
            judged = output_name(model, reference, settings.output)
            tallies[name] = _Tally(name, session, judged, settings, model is not reference and is_half(model))
        for batch in _fitting(batches, models):
            expected: Array | None = None
            for tally in tallies.values():
                with _named(f"{tally.name}, data {batches.name!r} from sample {batch.first} on"):
                    output = tally.add(batch, expected)
                expected = output if expected is None else expected
            samples += batch.size
            seen.add(batch)
            if on_progress:
                on_progress(batch.size)
    if samples == 0:
        raise DataError(f"data {batches.name!r}: not a single sample to evaluate with; check the path and the range")
    return Judged({name: tally.result() for name, tally in tallies.items()}, samples, seen.result())


@contextmanager
def _named(where: str) -> Iterator[None]:
    """Say in a refusal of samples which model and samples it is about."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{where}: {error}") from error


@dataclass(slots=True)
class _Tally:
    """Counts what one model does, batch by batch."""

    name: str
    session: Session
    output: str
    settings: JudgeSettings
    may_be_nan: bool
    nan_samples: int = 0
    correct: dict[int, list[Bits]] = field(default_factory=dict)
    agreement: AgreementCount = field(default_factory=AgreementCount)
    sqnr: SqnrSum | None = None
    flips: FlipCount = field(default_factory=FlipCount)

    def add(self, batch: Batch, expected: Array | None) -> Array:
        """Count one batch and return the model's output for it."""
        output = run_padded(self.session, batch.feeds)[self.output]
        failed = are_nan(output)
        if failed.any():
            if not self.may_be_nan:
                check_numbers(output, self.name, self.output, batch.first)
            self.nan_samples += int(np.count_nonzero(failed))
            output = np.where(np.isnan(output), -np.inf, output)
        if batch.labels is not None:
            for k in self.settings.top_k:
                right = right_answers(output, batch.labels, k, self.settings.task)
                if right is not None:
                    self.correct.setdefault(k, []).append(right & ~failed)
        if expected is not None:
            self._compare(batch, expected, output, failed)
        return output

    def _compare(self, batch: Batch, expected: Array, output: Array, failed: Bits) -> None:
        self.sqnr = self.sqnr or SqnrSum()
        self.sqnr.add(expected, output)
        theirs, ours = (answers_of(array, self.settings.task) for array in (expected, output))
        if theirs is not None and ours is not None:
            if failed.any():
                ours[failed] = NO_ANSWER
            self.agreement.add(theirs, ours)
            self.flips.add(batch, theirs, ours)

    def result(self) -> Judgement:
        correct = {k: np.concatenate(bits) for k, bits in self.correct.items()}
        sqnr = self.sqnr.result() if self.sqnr else None
        agreement, flips = self.agreement.result(), self.flips.result()
        return Judgement(self.output, correct, agreement, sqnr, flips, self.nan_samples)


def run_padded(session: Session, feeds: Feeds) -> dict[str, Array]:
    """Return a session's outputs; a batch below the model's fixed size is filled up, and the filling cut off.

    Raises:
        DataError, EngineError: as `Session.run`.
    """
    size = next(iter(feeds.values())).shape[0]
    fixed = fixed_batch(session.inputs)
    if fixed is None or size >= fixed:
        return session.run(feeds)
    return {name: array[:size] for name, array in session.run(repeated(feeds, fixed)).items()}


def fixed_batch(inputs: Sequence[InputSpec]) -> int | None:
    """Return the batch size that a model's inputs are fixed to, or None where it is free."""
    sizes = [spec.fixed_batch for spec in inputs if spec.fixed_batch is not None]
    return sizes[0] if sizes else None


def _fitting(batches: Batches, models: Mapping[str, Model]) -> Iterator[Batch]:
    """Yield batches no larger than what models are fixed to."""
    sizes = [fixed for model in models.values() if (fixed := fixed_batch(model.inputs)) is not None]
    return iter(batches.in_batches_of(min([batches.batch_size, *sizes])))
