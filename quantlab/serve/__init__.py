"""Runs in the browser: a server for one folder of runs, on this machine only.

Flask is imported by the modules of this package and by no other; whoever opens it calls `import_flask` first.
"""

from __future__ import annotations

from quantlab.errors import EngineMissing


def import_flask() -> None:
    """See that Flask is there.

    Raises:
        EngineMissing: it is not; the message says what to install.
    """
    try:
        import flask  # noqa: F401 (whether it can be imported is the question)
    except ImportError as error:
        raise EngineMissing("serve: Flask is not installed; `pip install 'quantlab[serve]'` brings it") from error
