"""Client of Counterfoil, the audit and lease ledger. ``counterfoil.generated`` is made from its OpenAPI document.

    with counterfoil.Client("https://ledger.example.com:8780", token_file="token", ca_file="ca.pem") as ledger:
        acme = ledger.workspace("acme")
        answer = acme.request_lease(credential="git_token", grantee=counterfoil.agent("fixer"), scope=["contents:read"], ttl_seconds=900)
        if answer.outcome == "denied":
            print(answer.reason_code)
"""

from .client import Client, Workspace
from .errors import CounterfoilError
from .generated import models
from .keys import new_key
from .tail import Tail

Secret = models.Secret


def _withheld(self: models.Secret) -> str:
    return "Secret(withheld)"


# The generated class prints its members.
Secret.__repr__ = _withheld  # type: ignore[method-assign]


def agent(name: str) -> models.PrincipalName:
    """The principal ``agent:<name>``; others are ``models.PrincipalName(kind="human", id=...)``."""
    return models.PrincipalName(kind="agent", id=name)


__all__ = ["Client", "CounterfoilError", "Secret", "Tail", "Workspace", "agent", "models", "new_key"]
