"""The operators' console: static files, served without a token. What they show is asked of the API, with one."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from tidegate.console import console_file
from tidegate.domain.errors import NotFound

from . import errors

HOME = "/console"
"""Without a slash at its end: gateways do not take one for the other."""
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "font-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "worker-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types tidegate",
    )
)
"""Nothing but the console's own files, no inline code, no text turned into markup, nobody's frame around it."""
_SECURITY = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def answer(event: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a request for a path of the console."""
    path, method = event["rawPath"], event["requestContext"]["http"]["method"]
    if method not in ("GET", "HEAD"):
        return errors.lambda_answer(
            errors.MethodNotAllowed(f"{path} cannot be asked with {method}", allowed=["GET", "HEAD"])
        )
    if path == "/":
        return _bare(302, {"Location": HOME})
    file = console_file(path)
    if file is None:
        return errors.lambda_answer(NotFound("there is no such file in this version of the console"))
    asked = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    headers = {**_SECURITY, "Cache-Control": file.caching, "ETag": file.etag, "Vary": "Accept-Encoding"}
    if file.etag in asked.get("if-none-match", ""):
        return _bare(304, headers)
    zipped = file.zipped if "gzip" in asked.get("accept-encoding", "") else None
    headers |= {"Content-Type": file.kind} | ({"Content-Encoding": "gzip"} if zipped is not None else {})
    if method == "HEAD":
        return _bare(200, headers)
    body = base64.b64encode(file.content if zipped is None else zipped).decode()
    return {"statusCode": 200, "headers": headers, "body": body, "isBase64Encoded": True}


def _bare(status: int, headers: Mapping[str, str]) -> dict[str, Any]:
    return {"statusCode": status, "headers": dict(headers), "body": "", "isBase64Encoded": False}
