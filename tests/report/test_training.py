import io

from rich.console import Console, Group

from quantlab.report.training import training_parts

SCORE = {"measure": "accuracy", "right": 9, "total": 10, "loss": 0.25}
SCALE = {"tensor": "x", "role": "activation", "factor": 1.5, "before": 1.0, "after": 1.5}
START = {"number": 0, "epochs": 1, "loss": None, "score": SCORE, "learning_rate": None, "seconds": 1.0}
EPOCH = {"number": 1, "epochs": 1, "loss": 0.5, "score": SCORE, "learning_rate": 1e-3, "seconds": 2.0}


def lines_of(**changes) -> list[list[str]]:
    section = {"epochs": [START, EPOCH], "best": 1, "summary": "Kept: epoch 1.", "scales_moved": [], **changes}
    text = io.StringIO()
    Console(file=text, width=100).print(Group(*training_parts(section)))
    return [line.split() for line in text.getvalue().splitlines()]


def test_every_epoch_is_a_line_and_the_kept_one_is_marked():
    lines = lines_of()
    assert ["start", "-", "0.25", "90.00%", "-", "1.0"] in lines
    assert ["epoch", "1", "(kept)", "0.5", "0.25", "90.00%", "0.001", "2.0"] in lines


def test_without_answers_there_is_no_share():
    bare = {"measure": "loss", "right": 0, "total": 0, "loss": None}
    assert ["start", "-", "not", "finite", "-", "1.0"] in lines_of(epochs=[{**START, "score": bare}])


def test_the_scales_that_moved_most_are_told_and_the_rest_is_counted():
    lines = lines_of(scales_moved=[SCALE] * 7)
    assert lines.count(["x", "activation", "1.500", "1", "1.5"]) == 5
    assert ["2", "more", "scales", "moved", "less;"] in [line[:5] for line in lines]
