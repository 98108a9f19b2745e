"""What is true of every command: help, exit codes, one line per error, JSON alone on stdout."""

import json
import subprocess
import sys

import pytest

from quantlab.calibrators import CALIBRATORS
from quantlab.cli import build_app, main
from quantlab.targets import TARGETS
from tests.commands.conftest import Quantlab
from tests.commands.examples import all_commands, examples_of, words_of

COMMANDS = [command.name or "" for command in build_app().registered_commands]
NET = ("--model", "net.onnx", "--data", "samples.npz")
FAST = ("--samples", "16", "--threads", "1", "--eval-samples", "4", "--no-latency")


def test_every_command_has_a_page_of_help_with_an_example(capsys):
    for path, command in all_commands().items():
        assert main([*path, "--help"]) == 0
        said = capsys.readouterr()
        assert examples_of(command), path
        assert all(example in said.out for example in examples_of(command)), path
        assert said.err == ""
        assert max(map(len, said.out.splitlines())) <= 100


def test_every_example_of_the_help_is_a_line_that_can_be_typed():
    for path, command in all_commands().items():
        for example in examples_of(command):
            words = words_of(example)
            assert tuple(words[: len(path) + 1]) == ("quantlab", *path)
            command.make_context(example, words[len(path) + 1 :])  # raises where an option or an argument is wrong


def test_one_word_means_one_thing_in_every_command():
    options = {
        path: {word: parameter for parameter in command.params for word in parameter.opts}
        for path, command in all_commands().items()
    }
    for word in ("--json", "--quiet", "--debug", "--dry-run", "--resume", "--no-latency", "--threads", "--seed"):
        texts = {parameters[word].help for parameters in options.values() if word in parameters}
        assert len(texts) == 1 or word == "--seed", (word, texts)
    unlike = {path for path, parameters in options.items() if not {"--json", "--quiet", "--debug"} <= parameters.keys()}
    assert unlike == {("serve",)}  # which has no result, and ends when it is told to


def test_the_help_lists_every_command_in_a_whole_sentence(capsys):
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for command in COMMANDS:
        (line,) = [line for line in lines if line.startswith(f"  {command} ")]
        assert line.endswith("."), line
        assert not line.endswith("..."), line


def test_without_a_command_the_help_is_shown_and_counts_as_wrong_usage(capsys):
    assert main([]) == 2
    assert "Commands:" in capsys.readouterr().out


def test_the_version_is_told(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("quantlab ")


def test_the_help_names_every_calibrator_and_target(capsys):
    main(["ptq", "--help"])
    text = capsys.readouterr().out
    assert all(name in text for name in (*CALIBRATORS, *TARGETS))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["frobnicate"], "No such command 'frobnicate'; see quantlab --help"),
        (["ptq", "--calibrater", "mse"], "No such option: --calibrater (Possible options: --calibrator"),
        (["ptq", "--calibrator", "entrpy"], "did you mean 'entropy'?"),
        (["ptq", "--target", "tensorrrt"], "did you mean 'tensorrt'?"),
        (["ptq", "--weight-ranges", "max"], "absmax, mse"),
        (["ptq", "--samples", "0"], "'--samples'"),
        (["ptq", "--samples", "many"], "'--samples'"),
        (["ptq", "--latency-batch", "0"], "'--latency-batch'"),
        (["ptq", "--no-latency", "--latency-batch", "2"], "exclude each other"),
        (["ptq", "--percentile", "99"], "calibrator 'entropy' has no setting 'percentile'"),
        (["ptq", "--calibrator", "percentile", "--percentile", "101"], "percentile: 101"),
        (["ptq", "--preprocess", "imagnet"], "'imagnet' is unknown"),
        (["ptq", "--preprocess", "resize"], "'resize' is unknown"),
        (["ptq", "--preprocess", "unit,resize"], "'resize' is not NAME=VALUE"),
        (["ptq", "--target", "tensorrt", "--target", "tensorrt"], "names one twice"),
        (["ptq", "extra"], "unexpected extra argument"),
        (["evaluate"], "Missing argument 'MODEL'"),
        (["diff", "net.onnx"], "Missing argument 'SECOND'"),
        (["compare", "--calibrators", "entrpy"], "did you mean 'entropy'?"),
        (["inspect", "--plan", "--target", "cpu"], "'cpu' is unknown; use one of onnxruntime, tensorrt"),
        (["run", "none.toml"], "none.toml: there is no such file; give a recipe.toml"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(quantlab: Quantlab, arguments, complaint):
    said = quantlab(*arguments)
    assert said.code == 2
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith("quantlab: error: ")
    assert complaint in line


def test_debug_shows_the_trace_and_keeps_line_and_exit_code(quantlab: Quantlab):
    said = quantlab("ptq", "--model", "none.onnx", "--debug")
    assert said.code == 1
    assert "Traceback" in said.err
    assert said.err.splitlines()[-1] == (
        "quantlab: error: none.onnx: there is no such file; give the path of an .onnx file"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("ptq", *NET, *FAST),
        ("compare", *NET, *FAST, "--calibrators", "minmax"),
        ("evaluate", "net.onnx", "--data", "samples.npz", "--no-latency", "--threads", "1"),
        ("diff", "net.onnx", "net.onnx", "--data", "samples.npz", "--samples", "4", "--threads", "1"),
        ("inspect", "net.onnx"),
        ("inspect", "net.onnx", "--plan"),
        ("doctor",),
    ],
    ids=" ".join,
)
def test_json_is_alone_on_stdout_and_stderr_is_empty(quantlab: Quantlab, arguments):
    said = quantlab(*arguments, "--json")
    assert said.code == 0
    assert isinstance(json.loads(said.out), dict)
    assert said.err == ""


def test_the_module_is_the_command_line_and_a_pipe_that_closes_is_no_trace(tmp_path):
    command = [sys.executable, "-m", "quantlab", "inspect", "digits", "--plan"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1
