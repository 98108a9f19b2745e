import pytest

from quantlab.qat.history import EpochRecord, History, Score, duration


def record(number: int, right: int, loss: float) -> EpochRecord:
    is_start = number == 0
    score = Score("accuracy", right, 10, loss)
    return EpochRecord(number, 3, None if is_start else loss, score, None if is_start else 1e-3, 2.0)


def test_more_right_answers_are_better_and_of_as_many_the_smaller_loss():
    history = History((record(0, 7, 0.9), record(1, 9, 0.5), record(2, 9, 0.4), record(3, 8, 0.1)))
    assert history.best.number == 2
    assert history.is_improved


def test_the_start_is_kept_where_no_epoch_is_better():
    history = History((record(0, 9, 0.3), record(1, 9, 0.3), record(2, 8, 0.2)))
    assert history.best is history.start
    assert not history.is_improved
    assert "kept: the start: no epoch is better" in str(history)


def test_a_loss_that_is_nan_is_never_better():
    assert History((record(0, 9, 0.3), record(1, 9, float("nan")))).best.number == 0


def test_a_record_says_how_long_the_rest_will_take():
    assert record(1, 9, 0.5).remaining_seconds == 4.0
    assert str(record(1, 9, 0.5)) == (
        "epoch 1/3: loss 0.5; held out: accuracy 90.00%, loss 0.5, rate 0.001, 2.0 s, 4.0 s left"
    )
    assert str(record(0, 9, 0.5)) == "start: held out: accuracy 90.00%, loss 0.5"


@pytest.mark.parametrize("number", [0, 2])
def test_a_record_goes_through_json(number):
    assert EpochRecord.from_json(record(number, 9, 0.1).to_json()) == record(number, 9, 0.1)


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.04, "0.0 s"), (9.9, "9.9 s"), (75, "75 s"), (1500, "25 min"), (12_000, "3 h 20 min")]
)
def test_times_are_told_as_a_person_says_them(seconds, said):
    assert duration(seconds) == said
