"""What every request of the generated code passes through: token, idempotency key, retries, errors."""

from __future__ import annotations

import ipaddress
import json
import ssl
import time
from pathlib import Path
from uuid import UUID

import httpx

from .errors import CounterfoilError, from_problem
from .keys import new_key

# The same request again may be answered; each try of a command carries the same key.
_AGAIN = (429, 502, 503, 504)
# What a proxy says that does not know what the ledger made of the request.
_LOST_BEHIND_A_PROXY = (502, 504)
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
        key = _key_of(request)
        deadline = time.monotonic() + self._retry_seconds
        attempt = 0
        unknown = False  # what came of one of the tries: later ones that get no answer of the ledger's do not change that
        while True:
            response, failure, wait = self._once(request, key)
            if response is not None:
                return response
            assert failure is not None
            unknown = unknown or failure.code == "indeterminate" or failure.status in _LOST_BEHIND_A_PROXY
            pause = wait if wait is not None else min(0.2 * 2**attempt, _PAUSE_SECONDS_MAX)
            again = failure.status in _AGAIN or failure.code in ("not_ready", "indeterminate")
            if not again or not repeatable or time.monotonic() + pause > deadline:
                if unknown and request.method != "GET" and failure.code != "indeterminate" and not _settles(failure):
                    raise _lost(request, key, failure.code)
                raise failure
            time.sleep(pause)
            attempt += 1

    def close(self) -> None:
        self._inner.close()

    def _once(self, request: httpx.Request, key: UUID | None) -> tuple[httpx.Response | None, CounterfoilError | None, float | None]:
        """One try: an answer, or a failure and how long to wait before the next one, if the server said so.

        The failure is made outside the handlers: exceptions of the HTTP library hold the request, and must not be its context."""
        try:
            token = self._token.read()
        except CounterfoilError as error:
            return None, error, None
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
            return None, CounterfoilError(0, trouble, "the server's certificate is not to be trusted", hint, key=key), None
        if trouble == "not_ready":
            return None, CounterfoilError(0, trouble, "nobody answers there", "is the server running, and the URL its own?", key=key), None
        if trouble or response is None:
            return None, _lost(request, key), None
        wait = _retry_after(response.headers.get("retry-after"))
        try:
            problem = json.loads(body)
        except ValueError:
            problem = None
        return None, from_problem(response.status_code, problem, response.headers.get("x-request-id", ""), key), wait


def _lost(request: httpx.Request, key: UUID | None, last: str = "") -> CounterfoilError:
    """``last``: the code that the last of several tries came to."""
    hint = "ask again"
    if key is not None:
        hint += " with the same key"
    elif _is_facts_in_bulk(request):
        hint = "send them again with the same ids"
    if last:
        hint += f"; the last try came to {last}"
    return CounterfoilError(0, "indeterminate", "the connection was lost before the answer", hint, key=key)


def _settles(failure: CounterfoilError) -> bool:
    """The ledger refused, and would have given an earlier answer to the same key instead. Who is not let in is told nothing of it."""
    return 400 <= failure.status < 500 and failure.status not in (401, 403, 408, 429)


def _is_answer(response: httpx.Response) -> bool:
    if response.status_code < 400:
        return True
    return response.status_code == 403 and _media_type(response) == "application/json"


def _media_type(message: httpx.Request | httpx.Response) -> str:
    text: str = message.headers.get("content-type", "")
    return text.partition(";")[0].strip()


def _make_repeatable(request: httpx.Request) -> bool:
    """Gives a command its key, and says whether asking twice is asking once. Facts in bulk have an id in each line, or none; one key for
    all of them would say nothing, and the server refuses it."""
    if _is_facts_in_bulk(request):
        if "Idempotency-Key" in request.headers:
            raise CounterfoilError(0, "usage", "facts in bulk take no key", "each line has an id of its own", "Idempotency-Key")
        return request.extensions.get("repeatable") is True
    if request.method == "GET" or "Idempotency-Key" in request.headers:
        return True
    if not _has_own_id(request):
        request.headers["Idempotency-Key"] = str(new_key())
    return True


def _is_facts_in_bulk(request: httpx.Request) -> bool:
    return _media_type(request).lower() == "application/x-ndjson"


def _key_of(request: httpx.Request) -> UUID | None:
    """What the server knows the command by. Nothing that is no UUID: it could be any text of the caller's."""
    if request.method == "GET" or _is_facts_in_bulk(request):
        return None
    text = request.headers.get("Idempotency-Key")
    if text is None:
        text = json.loads(request.content)["id"]
    try:
        key = UUID(text)
    except (ValueError, TypeError, AttributeError):
        return None
    return key if str(key) == text.lower() else None


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
