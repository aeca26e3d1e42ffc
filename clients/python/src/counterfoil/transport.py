"""What every request of the generated code passes through: token, idempotency key, retries, errors."""

from __future__ import annotations

import ipaddress
import json
import ssl
import time
from pathlib import Path

import httpx

from .errors import CounterfoilError, from_problem
from .keys import new_key

# The same request again may be answered; each try of a command carries the same key.
_AGAIN = (429, 502, 503, 504)
_PAUSE_SECONDS_MAX = 5.0


class Token:
    """A bearer token, or the file it is read from for each request, so that a new one is used as soon as it is there."""

    def __init__(self, text: str | None, file: str | Path | None) -> None:
        self._text = text
        self._file = Path(file) if file is not None else None

    def __repr__(self) -> str:
        return "Token(withheld)"

    def read(self) -> str:
        if self._file is None:
            return (self._text or "").strip()
        failed = False
        text = ""
        try:
            text = self._file.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            failed = True
        if failed:
            raise CounterfoilError(0, "unreadable_input", "the token file cannot be read", "it holds one token", "token_file")
        return text


def trust(ca_file: str | Path | None) -> ssl.SSLContext:
    """TLS 1.3 and nothing older, as the server has it. Without a file the system's authorities count."""
    failed = False
    context = ssl.create_default_context()
    try:
        if ca_file is not None:
            context = ssl.create_default_context(cafile=str(ca_file))
    except (OSError, ssl.SSLError):
        failed = True
    if failed:
        raise CounterfoilError(0, "unreadable_input", "the file of authorities cannot be read", "it holds PEM certificates", "ca_file")
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def check_url(url: str) -> httpx.URL:
    """Refuses what would send the token in clear to another machine."""
    try:
        parsed: httpx.URL | None = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = None
    if parsed is None or parsed.scheme not in ("http", "https") or not parsed.host or parsed.userinfo or parsed.query:
        raise CounterfoilError(0, "usage", "the URL is none of a server", "https://ledger.example.com:8780", "url")
    if parsed.scheme == "http" and not _is_this_machine(parsed.host):
        raise CounterfoilError(0, "usage", "a plain connection to another machine shows the token to everybody", "use https", "url")
    return parsed


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class LedgerTransport(httpx.BaseTransport):
    """Adds the token and, to commands, an ``Idempotency-Key``; asks again as ``Retry-After`` says, for ``retry_seconds`` at most; raises
    :class:`CounterfoilError` for every answer but one that was asked for or a denial. Thread safe as far as ``inner`` is."""

    def __init__(self, inner: httpx.BaseTransport, token: Token, retry_seconds: float) -> None:
        self._inner = inner
        self._token = token
        self._retry_seconds = retry_seconds

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        repeatable = _make_repeatable(request)
        deadline = time.monotonic() + self._retry_seconds
        attempt = 0
        while True:
            response, failure, wait = self._once(request)
            if response is not None:
                return response
            assert failure is not None
            pause = wait if wait is not None else min(0.2 * 2**attempt, _PAUSE_SECONDS_MAX)
            again = failure.status in _AGAIN or failure.code in ("not_ready", "indeterminate")
            if not again or not repeatable or time.monotonic() + pause > deadline:
                raise failure
            time.sleep(pause)
            attempt += 1

    def close(self) -> None:
        self._inner.close()

    def _once(self, request: httpx.Request) -> tuple[httpx.Response | None, CounterfoilError | None, float | None]:
        """One try: an answer, or a failure and how long to wait before the next one, if the server said so.

        The failure is made outside the handlers: exceptions of the HTTP library hold the request, and must not be its context."""
        token = self._token.read()
        if token:
            request.headers["Authorization"] = f"Bearer {token}"
        trouble = ""
        response = None
        body = b""
        try:
            response = self._inner.handle_request(request)
            if _media_type(response) == "text/event-stream":
                return response, None, None
            body = response.read()
            if _is_answer(response):
                return response, None, None
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            trouble = "untrusted" if _is_certificate_error(error) else "not_ready"
        except httpx.TransportError:
            trouble = "indeterminate"
        if trouble == "untrusted":
            hint = "name its authority with ca_file or COUNTERFOIL_CA, and the server by the name in its certificate"
            return None, CounterfoilError(0, trouble, "the server's certificate is not to be trusted", hint), None
        if trouble == "not_ready":
            return None, CounterfoilError(0, trouble, "nobody answers there", "is the server running, and the URL its own?"), None
        if trouble or response is None:
            return None, CounterfoilError(0, "indeterminate", "the connection was lost before the answer", "ask again with the same key"), None
        wait = _retry_after(response.headers.get("retry-after"))
        try:
            problem = json.loads(body)
        except ValueError:
            problem = None
        return None, from_problem(response.status_code, problem, response.headers.get("x-request-id", "")), wait


def _is_answer(response: httpx.Response) -> bool:
    if response.status_code < 400:
        return True
    return response.status_code == 403 and _media_type(response) == "application/json"


def _media_type(response: httpx.Response) -> str:
    text: str = response.headers.get("content-type", "")
    return text.partition(";")[0].strip()


def _make_repeatable(request: httpx.Request) -> bool:
    """Gives a command its key, and says whether asking twice is asking once. Facts in bulk have an id in each line, or none."""
    if request.method == "GET" or "Idempotency-Key" in request.headers:
        return True
    if request.headers.get("content-type", "").startswith("application/x-ndjson"):
        return request.extensions.get("repeatable") is True
    if not _has_own_id(request):
        request.headers["Idempotency-Key"] = str(new_key())
    return True


def _has_own_id(request: httpx.Request) -> bool:
    """The body of a command names its id. (A new workspace's "id" is the workspace's.)"""
    if request.url.path == "/v1/workspaces" or b'"id"' not in request.content:
        return False
    try:
        body = json.loads(request.content)
    except ValueError:
        return False
    return isinstance(body, dict) and "id" in body


def _is_certificate_error(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _retry_after(text: str | None) -> float | None:
    if text is None or not text.isascii() or not text.isdigit():
        return None
    return float(text)
