"""Runs the Lambda handlers for the emulator: one HTTP POST is one invocation.

`python lambda_host.py PORT` asks the emulator for the functions' environments and handlers when one is first invoked,
so that what runs is what the template says, on the checkout's own code. One process stands for all functions, so it has
the variables of all; no two of them give one a different value. `POST /faults` with a share sets how many of the
functions' calls to AWS fail, and answers which have failed so far.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
from faults import Faults

_faults = Faults(seed=1)
_loading = threading.Lock()


class Context:
    """What Lambda tells a function about its invocation."""

    memory_limit_in_mb = 512
    log_stream_name = "emulated"

    def __init__(self, headers: Any) -> None:
        self.function_name = headers["X-Amzn-Lambda-Function-Name"]
        self.invoked_function_arn = headers["X-Amzn-Lambda-Function-Arn"]
        self.aws_request_id = headers["X-Amzn-Lambda-Request-Id"]
        self._deadline = int(headers["X-Amzn-Lambda-Deadline-Ms"]) / 1000

    def get_remaining_time_in_millis(self) -> int:
        return round((self._deadline - time.time()) * 1000)


@cache
def load(function_name: str) -> Callable[[dict[str, Any], Context], Any]:
    """Take over the environment of the functions and import this one's handler."""
    functions = {each["FunctionName"]: each for each in boto3.client("lambda").list_functions(MaxItems=50)["Functions"]}
    for each in functions.values():
        os.environ.update(each["Environment"]["Variables"])
    module, _, name = functions[function_name]["Handler"].rpartition(".")
    handler: Callable[[dict[str, Any], Context], Any] = getattr(importlib.import_module(module), name)
    return handler


class Invocation(BaseHTTPRequestHandler):
    """One request of the emulator."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, answer = self._set_faults(event) if self.path == "/faults" else self._invoke(event)
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _invoke(self, event: Any) -> tuple[int, Any]:
        context = Context(self.headers)
        try:
            with _loading:
                handler = load(context.function_name)
            return 200, handler(event, context)
        except Exception as error:
            traceback.print_exc()
            return 500, {"errorType": type(error).__name__, "errorMessage": str(error)}

    def _set_faults(self, share: float) -> tuple[int, Any]:
        _faults.share = share
        return 200, _faults.struck

    def log_message(self, *_: Any) -> None:
        return


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Invocation).serve_forever()
