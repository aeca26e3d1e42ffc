"""The one exception of this client."""

from __future__ import annotations

from typing import Any


class CounterfoilError(Exception):
    """A request that was not answered as asked. A denial is none: it is an answer, and on the record.

    ``status`` is the HTTP status, 0 if no answer came. ``code`` is stable: match on it. ``detail`` says what happened, ``hint`` what to do,
    ``field`` what is to blame, where one is; ``request_id`` is what the server's log knows the request by. None of them holds a value of the
    request, and the request itself is not attached.

    Codes without an answer: ``not_ready`` (nobody answers there), ``indeterminate`` (the connection was lost: it may be recorded; the same
    key gets the first answer), ``untrusted`` (no TLS connection to this server can be believed in).
    """

    def __init__(self, status: int, code: str, detail: str, hint: str = "", field: str = "", request_id: str = "") -> None:
        self.status = status
        self.code = code
        self.detail = detail
        self.hint = hint
        self.field = field
        self.request_id = request_id
        super().__init__(status, code, detail, hint, field, request_id)

    def __str__(self) -> str:
        text = f"{self.code}: {self.detail}"
        if self.hint:
            text += f" ({self.hint})"
        if self.request_id:
            text += f" [request {self.request_id}]"
        return text


def from_problem(status: int, problem: Any, request_id: str) -> CounterfoilError:
    """``problem``: the body of an RFC 9457 answer, or anything else that came instead of one."""
    if not isinstance(problem, dict) or not isinstance(problem.get("code"), str):
        return CounterfoilError(status, f"http_{status}", "the answer is none of a ledger", "is there a proxy in between?", "", request_id)

    def text(name: str) -> str:
        value = problem.get(name)
        return value if isinstance(value, str) else ""

    return CounterfoilError(status, text("code"), text("detail"), text("hint"), text("field"), text("requestId") or request_id)
