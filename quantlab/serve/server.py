"""The application on a port of the loopback interface, until Ctrl-C."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable

from flask import Flask
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from quantlab.errors import RunError

LOOPBACK = "127.0.0.1"


class _QuietHandler(WSGIRequestHandler):
    """Answers without a line on stderr for every request; faults are logged by the application."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


def serve(app: Flask, port: int, *, on_ready: Callable[[str], None]) -> None:
    """Answer requests until interrupted.

    Args:
        app: what answers.
        port: to listen on; 0 for a free one.
        on_ready: called with the address once it can be opened.

    Raises:
        RunError: the port is taken or not allowed.
    """
    server = _listening(app, port)
    try:
        on_ready(f"http://{LOOPBACK}:{server.port}/")
        server.serve_forever()
    except KeyboardInterrupt:  # the way to end it
        pass
    finally:
        server.server_close()


def _listening(app: Flask, port: int) -> BaseWSGIServer:
    """Return the server on a socket that was opened here: where a port is taken, werkzeug would end the program."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
            listener.listen()
        except OSError as error:
            why = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be listened on ({error.strerror})"
            raise RunError(f"port {port} {why}; choose another with --port, or --port 0 for a free one") from error
        # The server works on a duplicate of the descriptor.
        return make_server(
            LOOPBACK, listener.getsockname()[1], app, threaded=True, request_handler=_QuietHandler, fd=listener.fileno()
        )
