"""What the shell completes, asked for as bash asks."""

import pytest

from quantlab.cli import main


def completed(line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return what bash offers for the last word of a line."""
    monkeypatch.setenv("_QUANTLAB_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
    with pytest.raises(SystemExit) as done:
        main([])
    assert done.value.code == 0
    return capsys.readouterr().out.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("quantlab pt", ["ptq"]),
        ("quantlab ptq --dry", ["--dry-run"]),
        ("quantlab ptq --calibrator m", ["minmax", "mse"]),
        ("quantlab compare --calibrators perc", ["percentile"]),
        ("quantlab ptq --target ", ["onnxruntime", "tensorrt"]),
        ("quantlab inspect --target t", ["tensorrt"]),
        ("quantlab lint --target o", ["onnxruntime"]),
        ("quantlab cache import --target t", ["tensorrt"]),
        ("quantlab qat --loss ", ["distill", "task", "both"]),
        ("quantlab qat --distance k", ["kl"]),
        ("quantlab qat --optimizer ", ["adamw", "sgd"]),
        ("quantlab ptq --weight-ranges ", ["absmax", "mse"]),
        ("quantlab ptq --weight-scales per-t", ["per-tensor"]),
        ("quantlab ptq --calibrator x", []),
        ("quantlab ptq --engine t", ["torch"]),
        ("quantlab evaluate --engine t", ["tensorrt"]),
        ("quantlab build --precision int8", ["int8", "int8+fp16"]),
        ("quantlab build --runtime tensorrt_", ["tensorrt_rtx"]),
        ("quantlab audit --runtime o", ["onnxruntime"]),
        ("quantlab diff --runtime n", ["none"]),
        ("quantlab report --format m", ["markdown"]),
        ("quantlab inspect --free-axes s", ["size"]),
        ("quantlab ptq --preprocess im", ["imagenet"]),
        ("quantlab cache export --algorithm e", ["entropy2"]),
    ],
)
def test_commands_options_and_the_names_they_take_are_completed(line, expected, monkeypatch, capsys):
    assert set(expected) <= set(completed(line, monkeypatch, capsys))
    if line.split()[-1] not in ("pt",):
        assert completed(line, monkeypatch, capsys) == expected
