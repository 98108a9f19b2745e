"""The server as a process: it answers on the loopback interface, and Ctrl-C ends it."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from quantlab.cli import main

SECONDS = 60


@contextmanager
def serving(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the server on a free port; yield the process and its address."""
    command = [sys.executable, "-m", "quantlab", "serve", str(folder), "--port", "0", "--threads", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            yield process, next(word for word in said.split() if word.startswith("http://"))
        finally:
            process.kill()


def test_it_answers_on_the_loopback_interface_until_ctrl_c(made):
    with serving(made) as (process, address):
        assert address.startswith("http://127.0.0.1:")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(address, timeout=SECONDS) as answer:
            assert "group/two" in answer.read().decode()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, out, err) == (0, "", "")


def test_a_port_that_is_taken_is_told_in_one_line(made, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["serve", str(made), "--port", str(port)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert f"port {port} is taken; choose another with --port" in said.err
    assert said.err.count("\n") == 1


def test_a_folder_that_is_not_there_and_a_port_that_cannot_be_are_told(tmp_path, capsys):
    assert main(["serve", str(tmp_path / "nothing")]) == 1
    assert "there is no such folder; give a folder that holds runs" in capsys.readouterr().err
    assert main(["serve", str(tmp_path), "--port", "70000"]) == 2


def test_without_flask_the_error_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "flask", None)
    assert main(["serve", str(tmp_path)]) == 1
    assert "pip install 'quantlab[serve]'" in capsys.readouterr().err


def test_the_help_names_no_way_to_open_it_to_others(capsys):
    assert main(["serve", "--help"]) == 0
    said = capsys.readouterr().out
    assert "--host" not in said
    assert os.linesep.join(["Examples:"]) in said
