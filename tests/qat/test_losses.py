import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from quantlab.errors import DataError, RecipeError
from quantlab.graph.model import Model
from quantlab.qat.losses import Objective, class_axis
from quantlab.qat.settings import QatSettings
from tests.engines.models import model_from_text
from tests.models import noise, two_convs

STUDENT, TEACHER = (torch.from_numpy(3 * noise(6, 5, seed=seed)) for seed in (1, 2))
LABELS = torch.tensor([0, 1, 2, 3, 4, 0])


def classifier(op: str = "Identity") -> Model:
    return model_from_text(f"g (float[N, 5] x) => (float[N, 5] y) {{ [last] y = {op}(x) }}")


def loss_of(student=STUDENT, teacher=TEACHER, labels=None, *, model=None, task_loss=None, **settings) -> float:
    objective = Objective(QatSettings(**settings), model or classifier(), task_loss=task_loss)
    return float(objective({"y": student}, {"y": teacher}, labels))


def divergence(student: np.ndarray, teacher: np.ndarray, temperature: float) -> float:
    ours, theirs = log_softmax(student / temperature, axis=1), log_softmax(teacher / temperature, axis=1)
    return float(temperature**2 * np.sum(np.exp(theirs) * (theirs - ours)) / len(student))


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_distilling_classes_is_the_divergence_of_their_probabilities(temperature):
    expected = divergence(STUDENT.double().numpy(), TEACHER.double().numpy(), temperature)
    assert loss_of(temperature=temperature) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("distance", ["kl", "mse"])
def test_the_float_model_itself_has_no_loss(distance):
    assert loss_of(TEACHER, distance=distance) == pytest.approx(0, abs=1e-6)


def test_of_two_nearly_equal_models_the_nearer_has_the_smaller_loss_and_none_is_negative():
    # As Σ p · (log p − log q) the smallest of these would be the noise of float32, of either sign.
    direction = torch.from_numpy(noise(6, 5, seed=3))
    losses = [loss_of(TEACHER + 1e-5 * step * direction) for step in (1, 2, 4, 8)]
    exact = [divergence((TEACHER + 1e-5 * s * direction).double().numpy(), TEACHER.double().numpy(), 1) for s in (4, 8)]
    assert all(loss >= 0 for loss in losses)
    assert losses == sorted(losses)
    # Logits near 3 are known to 2e-7 only, and the last distances are 8e-5.
    assert losses[2:] == pytest.approx(exact, rel=2e-2)


def test_logits_that_are_far_apart_give_a_finite_loss_and_gradient():
    student = torch.tensor([[300.0, -300.0]], requires_grad=True)
    objective = Objective(QatSettings(), classifier())
    loss = objective({"y": student}, {"y": torch.tensor([[-300.0, 300.0]])}, None)
    loss.backward()
    assert loss.item() == pytest.approx(600)
    assert student.grad is not None
    assert student.grad.tolist() == [[1.0, -1.0]]


def test_the_gradient_of_distilling_is_the_difference_of_the_probabilities():
    student = STUDENT.clone().requires_grad_()
    Objective(QatSettings(), classifier())({"y": student}, {"y": TEACHER}, None).backward()
    wanted = (STUDENT.softmax(1) - TEACHER.softmax(1)) / len(STUDENT)
    assert student.grad is not None
    torch.testing.assert_close(student.grad, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("label", [-1, 5])
def test_a_label_outside_the_classes_is_named(label):
    labels = torch.tensor([0, 1, label, 3, 4, 0])
    with pytest.raises(DataError, match=rf"label {label} is outside 0\.\.4"):
        loss_of(labels=labels, loss="task")


def test_an_output_that_is_a_softmax_is_not_put_through_another():
    probabilities = {"student": STUDENT.softmax(1), "teacher": TEACHER.softmax(1), "model": classifier("Softmax")}
    assert loss_of(**probabilities) == pytest.approx(loss_of(), rel=1e-4)
    by_task = loss_of(probabilities["student"], labels=LABELS, loss="task", model=probabilities["model"])
    assert by_task == pytest.approx(loss_of(labels=LABELS, loss="task"), rel=1e-4)


def test_outputs_without_classes_are_compared_by_their_squared_error():
    student, teacher = STUDENT[:, :1], TEACHER[:, :1]
    expected = float(((student - teacher) ** 2).sum() / (teacher**2).sum())
    assert loss_of(student, teacher) == pytest.approx(expected, rel=1e-5)


def test_the_task_is_cross_entropy_and_both_is_a_mixture():
    task = loss_of(labels=LABELS, loss="task")
    assert task == pytest.approx(float(torch.nn.functional.cross_entropy(STUDENT, LABELS)), rel=1e-5)
    both = loss_of(labels=LABELS, loss="both", task_share=0.25)
    assert both == pytest.approx(0.75 * loss_of() + 0.25 * task, rel=1e-5)


def test_a_users_function_takes_the_place_of_cross_entropy():
    def largest(outputs, labels):
        return outputs["y"].max() + labels.sum()

    assert loss_of(labels=LABELS, loss="task", task_loss=largest) == pytest.approx(float(STUDENT.max()) + 10)


def broken(outputs, labels):
    return outputs["z"] - labels


@pytest.mark.parametrize(
    ("function", "complaint"),
    [
        (broken, r"'y' \[6, 5\]; labels int64 \[6\]\): your function raised KeyError: 'z'"),
        (lambda outputs, _: outputs["y"].mean(1), r"returned float32 \[6\], not a tensor of one number"),
        (lambda *_: 3.0, "returned a float, not a tensor of one number"),
        (lambda _, labels: labels.sum(), r"returned int64 \[\], not a tensor of one number"),
    ],
)
def test_a_users_function_that_fails_is_told_with_what_it_was_given(function, complaint):
    with pytest.raises(DataError, match=complaint):
        loss_of(labels=LABELS, loss="task", task_loss=function)


def test_features_add_their_relative_error():
    objective = Objective(QatSettings(features=("h",), feature_weight=2.0), classifier())
    student, teacher = {"y": TEACHER, "h": STUDENT}, {"y": TEACHER, "h": TEACHER}
    expected = 2 * float(((STUDENT - TEACHER) ** 2).sum() / (TEACHER**2).sum())
    assert float(objective(student, teacher, None)) == pytest.approx(expected, rel=1e-5)


def test_missing_labels_are_an_error_that_says_what_to_do():
    with pytest.raises(DataError, match="'task': the samples have no labels; give some, or use 'distill'"):
        loss_of(loss="task")


def test_an_output_that_is_no_answer_per_sample_needs_a_users_function():
    scores = torch.zeros(2, 4, 8, 8)
    objective = Objective(QatSettings(loss="task"), two_convs())
    with pytest.raises(RecipeError, match="a loss function of your own"):
        objective({"scores": scores}, {}, torch.zeros(2, dtype=torch.int64))


def test_an_unknown_output_is_refused():
    with pytest.raises(RecipeError, match="the model has y"):
        Objective(QatSettings(), classifier(), output="z")


@pytest.mark.parametrize(
    ("shape", "axis"), [((6, 5), 1), ((6, 5, 1, 1), 1), ((6, 7, 5), 2), ((6, 5, 4, 4), 1), ((6,), None), ((6, 1), None)]
)
def test_classes_lie_where_evaluation_looks_for_answers(shape, axis):
    assert class_axis(torch.zeros(shape)) == axis
