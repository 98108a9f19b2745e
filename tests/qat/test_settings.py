import tomllib

import pytest

from quantlab.errors import RecipeError
from quantlab.qat import QatSettings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "distil"}, "did you mean 'distill'"),
        ({"distance": "cosine"}, "kl, mse"),
        ({"optimizer": "adam"}, "adamw"),
        ({"epochs": 0}, "epochs: 0 is not possible; it must be at least 1"),
        ({"learning_rate": 0.0}, "above 0"),
        ({"learning_rate": float("nan")}, "learning_rate: nan"),
        ({"task_share": 1.5}, "at least 0 and at most 1"),
        ({"ema_decay": 1.0}, "below 1"),
        ({"held_out": 1.0}, "above 0 and below 1"),
        ({"clip_norm": -1.0}, "clip_norm"),
        ({"train_samples": 1}, "at least 2"),
    ],
)
def test_a_setting_out_of_its_limits_is_refused_by_name(settings, message):
    with pytest.raises(RecipeError, match=message):
        QatSettings(**settings)


def test_settings_are_saved_as_toml():
    settings = QatSettings(epochs=3, features=("hidden",), clip_norm=None)
    saved = tomllib.loads(settings.to_toml())
    assert "clip_norm" not in saved
    assert saved == {name: value for name, value in settings.to_plain().items() if value is not None}
    assert saved["features"] == ["hidden"]


def test_the_float_model_runs_only_where_the_loss_looks_at_it():
    assert QatSettings().needs_teacher
    assert QatSettings(loss="task", features=("hidden",)).needs_teacher
    assert not QatSettings(loss="task").needs_teacher
