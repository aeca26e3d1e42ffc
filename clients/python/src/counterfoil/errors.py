"""The one exception of this client."""

from __future__ import annotations

from typing import Any
from uuid import UUID


class CounterfoilError(Exception):
    """A request that was not answered as asked. A denial is none: it is an answer, and on the record.

    ``status`` is the HTTP status, 0 if no answer came. ``code`` is stable: match on it. ``detail`` says what happened, ``hint`` what to do,
    ``field`` what is to blame, where one is; ``request_id`` is what the server's log knows the request by. None of them holds a value of the
    request, and the request itself is not attached. ``key`` is the idempotency key that a command was sent with, its own or the caller's:
    the same command with it (``key=error.key``) is recorded once. None for readings, facts in bulk, what was not sent, and
    ``unexpected_answer``.

    Codes without an answer: ``not_ready`` (nobody answers there, and nothing was sent), ``indeterminate`` (one try was lost, and no later
    one was told what came of it: it may be recorded; the same key gets the first answer), ``untrusted`` (no TLS connection to this server
    can be believed in).
    """

    def __init__(
        self, status: int, code: str, detail: str, hint: str = "", field: str = "", request_id: str = "", key: UUID | None = None
    ) -> None:
        self.status = status
        self.code = code
        self.detail = detail
        self.hint = hint
        self.field = field
        self.request_id = request_id
        self.key = key
        super().__init__(status, code, detail, hint, field, request_id, key)

    def __str__(self) -> str:
        text = f"{self.code}: {self.detail}"
        if self.hint:
            text += f" ({self.hint})"
        if self.request_id:
            text += f" [request {self.request_id}]"
        if self.key and self.code == "indeterminate":
            text += f" [key {self.key}]"
        return text


def from_problem(status: int, problem: Any, request_id: str, key: UUID | None) -> CounterfoilError:
    """``problem``: the body of an RFC 9457 answer, or anything else that came instead of one."""
    if not isinstance(problem, dict) or not isinstance(problem.get("code"), str):
        return CounterfoilError(status, f"http_{status}", "the answer is none of a ledger", "is there a proxy in between?", "", request_id, key)

    def text(name: str) -> str:
        value = problem.get(name)
        return value if isinstance(value, str) else ""

    return CounterfoilError(status, text("code"), text("detail"), text("hint"), text("field"), text("requestId") or request_id, key)
