"""The client and one workspace of it: names for the routes that most programs use, over the generated code."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any
from urllib.parse import quote
from uuid import UUID

import attrs
import httpx

from .errors import CounterfoilError
from .generated import models
from .generated.api.default import (
    get_workspaces_workspace,
    get_workspaces_workspace_entries,
    get_workspaces_workspace_leases_lease,
    post_workspaces,
    post_workspaces_workspace_approvals,
    post_workspaces_workspace_approvals_approval_decide,
    post_workspaces_workspace_leases,
    post_workspaces_workspace_leases_lease_consume,
    post_workspaces_workspace_leases_lease_issued,
    post_workspaces_workspace_leases_lease_renew,
    post_workspaces_workspace_leases_lease_revoke,
    post_workspaces_workspace_query,
    post_workspaces_workspace_revocations,
)
from .generated.client import Client as GeneratedClient
from .keys import new_key
from .tail import Tail
from .transport import LedgerTransport, Token, check_url, trust

_FACTS_A_REQUEST = 1000


class Client:
    """One ledger. Thread safe, except that a :class:`Tail` is used by one thread. Connections are kept; ``close`` ends them.

    What is not named here is reached by its environment variable: ``COUNTERFOIL_URL``, ``COUNTERFOIL_TOKEN``, ``COUNTERFOIL_TOKEN_FILE``,
    ``COUNTERFOIL_CA``. ``ca_file``: PEM authorities that vouch for the server; without it, the system's. ``retry_seconds``: how long one
    call may ask again, in all. ``timeout_seconds``: how long one try waits for the server."""

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        token_file: str | Path | None = None,
        ca_file: str | Path | None = None,
        retry_seconds: float = 30.0,
        timeout_seconds: float = 30.0,
    ) -> None:
        base = check_url(url if url is not None else os.environ.get("COUNTERFOIL_URL", ""))
        if token is None and token_file is None:
            token_file = os.environ.get("COUNTERFOIL_TOKEN_FILE")
            token = os.environ.get("COUNTERFOIL_TOKEN") if token_file is None else None
        inner = httpx.HTTPTransport(verify=trust(ca_file or os.environ.get("COUNTERFOIL_CA") or None))
        transport = LedgerTransport(inner, Token(token, token_file), retry_seconds)
        # Proxies and netrc of the surroundings would go around the transport.
        self._http = httpx.Client(base_url=base, transport=transport, timeout=timeout_seconds, trust_env=False)
        self._url = str(base)
        self.generated = GeneratedClient(base_url=self._url).set_httpx_client(self._http)
        """For the functions of ``counterfoil.generated.api``: ``client=ledger.generated``."""

    def __repr__(self) -> str:
        return f"Client({self._url!r})"

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def create_workspace(self, workspace: str, region: str = "", *, key: UUID | None = None) -> models.Answer:
        """``key``: as with the commands of a :class:`Workspace`."""
        body = models.WorkspaceCreate(id=workspace)
        if region:
            body.region = region
        # In the body "id" is the workspace's.
        return _answer(post_workspaces, (), self.generated, body, {} if key is None else {"idempotency_key": str(key)})

    def workspace(self, workspace: str) -> Workspace:
        """Asks nothing."""
        return Workspace(self, workspace)


class Workspace:
    """One workspace. Commands take a body of :mod:`counterfoil.models`, or its members by name. Their answer has an ``outcome``; ``denied``
    is one of them, with ``reason_code`` and receipt. ``key``: the idempotency key, for who wants to ask again after a restart of the
    program; without it each call has its own. All raise :class:`CounterfoilError`."""

    def __init__(self, client: Client, workspace: str) -> None:
        self.id = workspace
        self._client = client
        self._http = client._http
        self._path = "/v1/workspaces/" + quote(workspace, safe="")

    def __repr__(self) -> str:
        return f"Workspace({self.id!r})"

    # ---- commands ----

    def set_policy(self, document: str, *, key: UUID | None = None) -> models.Answer:
        """``document``: TOML."""
        headers = {"Content-Type": "text/toml", "Idempotency-Key": str(key or new_key())}
        # The generator knows no text/toml.
        return models.Answer.from_dict(self._http.put(self._path + "/policy", content=document.encode(), headers=headers).json())

    def request_lease(self, body: models.LeaseRequest | None = None, *, key: UUID | None = None, **members: Any) -> models.Answer:
        return self._command(post_workspaces_workspace_leases, (), models.LeaseRequest, body, members, key)

    def issued(self, lease: str, body: models.LeaseIssue | None = None, *, key: UUID | None = None, **members: Any) -> models.Answer:
        """The credential was minted (``secret``), or could not be (``outcome="failed"``)."""
        return self._command(post_workspaces_workspace_leases_lease_issued, (lease,), models.LeaseIssue, body, members, key)

    def consume(self, lease: str, body: models.LeaseConsume | None = None, *, key: UUID | None = None, **members: Any) -> models.Answer:
        return self._command(post_workspaces_workspace_leases_lease_consume, (lease,), models.LeaseConsume, body, members, key)

    def renew(self, lease: str, body: models.LeaseRenew | None = None, *, key: UUID | None = None, **members: Any) -> models.Answer:
        return self._command(post_workspaces_workspace_leases_lease_renew, (lease,), models.LeaseRenew, body, members, key)

    def revoke(self, lease: str, body: models.LeaseRevoke | None = None, *, key: UUID | None = None, **members: Any) -> models.Answer:
        return self._command(post_workspaces_workspace_leases_lease_revoke, (lease,), models.LeaseRevoke, body, members, key)

    def revoke_all(self, body: models.RevokeAll | None = None, *, key: UUID | None = None, **members: Any) -> models.Answer:
        """Everything of one run, host, principal, bundle, credential or lease."""
        return self._command(post_workspaces_workspace_revocations, (), models.RevokeAll, body, members, key)

    def request_approval(self, body: models.ApprovalRequest | None = None, *, key: UUID | None = None, **members: Any) -> models.Answer:
        return self._command(post_workspaces_workspace_approvals, (), models.ApprovalRequest, body, members, key)

    def decide(self, approval: str, body: models.ApprovalDecide | None = None, *, key: UUID | None = None, **members: Any) -> models.Answer:
        return self._command(
            post_workspaces_workspace_approvals_approval_decide, (approval,), models.ApprovalDecide, body, members, key
        )

    # ---- facts ----

    def append_facts(self, facts: Iterable[models.Fact | dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """What happened elsewhere. One result for each, in order: an answer with its receipt, or ``{"error": {...}}``; a bad fact does not
        stop the others. A fact without id gets one, so that a lost connection records nothing twice. Sends while results are taken.

        Raises ``indeterminate`` if not every fact of a request was answered: facts with ids of the caller's (:func:`new_key`) can be
        appended again, those that were recorded get their first answer."""
        lines: list[str] = []
        for fact in facts:
            members = fact.to_dict() if isinstance(fact, models.Fact) else dict(fact)
            members.setdefault("id", str(new_key()))
            lines.append(json.dumps(members, default=_reveal, separators=(",", ":"), ensure_ascii=False))
            if len(lines) == _FACTS_A_REQUEST:
                yield from self._send_facts(lines)
                lines = []
        if lines:
            yield from self._send_facts(lines)

    def _send_facts(self, lines: list[str]) -> list[dict[str, Any]]:
        headers = {"Content-Type": "application/x-ndjson"}
        content = "\n".join(lines).encode()
        response = self._http.post(self._path + "/facts", content=content, headers=headers, extensions={"repeatable": True})
        try:
            # Not splitlines(): texts may hold other line ends than \n.
            results = [json.loads(line) for line in response.content.split(b"\n") if line]
        except ValueError:
            results = []  # the last line was cut
        if len(results) != len(lines) or not all(isinstance(result, dict) for result in results):
            detail = f"not every fact was answered: what became of the last {len(lines)} is not known"
            raise CounterfoilError(0, "indeterminate", detail, "send them again with the same ids")
        return results

    # ---- readings ----

    def lease(self, lease: str, *, wait: int | None = None) -> dict[str, Any]:
        """A lease with its history, as the view has it; ``wait``: not before the view holds that seq (read your own write)."""
        ask: dict[str, Any] = {} if wait is None else {"wait": wait}
        response = get_workspaces_workspace_leases_lease.sync_detailed(self.id, lease, client=self._client.generated, **ask)
        return dict(json.loads(response.content))

    def entries(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """All pages of ``GET .../entries``; its filters by name, ``from_`` for ``from``."""
        while True:
            response = get_workspaces_workspace_entries.sync_detailed(self.id, client=self._client.generated, **filters)
            page = json.loads(response.content)
            yield from page["items"]
            if page["next"] is None:
                return
            filters["after"] = page["next"]

    def query(self, sql: str) -> dict[str, Any]:
        """One SELECT over the views: ``columns``, ``rows``, ``asOf``, ``viewDigest``."""
        body = models.Query(sql=sql)
        response = post_workspaces_workspace_query.sync_detailed(self.id, client=self._client.generated, body=body)
        return dict(json.loads(response.content))

    def tail(self, *kinds: str, after: int | None = None) -> Tail:
        """The record from now on, or after the entry ``after``: ``tail("lease.*")``. It listens when this returns."""
        return Tail(self._http, self._path + "/stream", kinds, self._newest() if after is None else after)

    def revocations(self, *, after: int | None = None) -> Tail:
        """What to kill upstream, as it is recorded."""
        return Tail(self._http, self._path + "/revocations/stream", (), self._newest() if after is None else after)

    def _newest(self) -> int:
        # A stream without a position begins anew with each connection; one with a position can lose nothing, from its first connection on.
        response = get_workspaces_workspace.sync_detailed(self.id, client=self._client.generated)
        return int(json.loads(response.content)["entries"]) - 1

    def _command(
        self, route: ModuleType, place: tuple[str, ...], kind: type[Any], body: Any, members: dict[str, Any], key: UUID | None
    ) -> models.Answer:
        if body is not None and members:
            raise TypeError("a body, or its members by name")
        made = body if body is not None else kind(**members)
        if key is not None:
            made = attrs.evolve(made, id=key)
        return _answer(route, (self.id, *place), self._client.generated, made)


def _answer(
    route: ModuleType, place: tuple[str, ...], client: GeneratedClient, body: Any, more: dict[str, Any] | None = None
) -> models.Answer:
    parsed = None
    try:
        parsed = route.sync_detailed(*place, client=client, body=body, **(more or {})).parsed
    except (KeyError, TypeError, ValueError):
        pass  # the generated code met an answer that is not in the document
    if not isinstance(parsed, models.Answer):
        raise CounterfoilError(0, "unexpected_answer", "the answer is not of the documented form", "are client and server of one version?")
    return parsed


def _reveal(value: Any) -> Any:
    """Models inside a fact that was given as a dictionary, or in a member of any type."""
    if hasattr(value, "to_dict"):
        return value.to_dict()
    raise TypeError("a fact holds what JSON can say, and models of this package")
