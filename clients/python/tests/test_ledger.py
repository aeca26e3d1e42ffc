"""Against a running server: COUNTERFOIL_URL (https), COUNTERFOIL_TOKEN_FILE (an owner's), COUNTERFOIL_CA."""

from __future__ import annotations

import os
import secrets
import signal
import tempfile
import traceback
import unittest
from pathlib import Path
from urllib.parse import urlsplit

import counterfoil
from counterfoil import models
from cutting_proxy import CuttingProxy

POLICY = """
name = "starter"
[[rule]]
name = "git-read"
effect = "allow"
credential = ["git_token"]
grantee = ["agent:*"]
scope = ["contents:read"]
resource = ["github.com/acme/*"]
maxTtlSeconds = 900
maxUses = 3
"""

GRANT = {
    "credential": "git_token",
    "grantee": counterfoil.agent("fixer"),
    "scope": ["contents:read"],
    "resources": ["github.com/acme/shop"],
    "ttl_seconds": 900,
    "run": "run-7",
}


class Ledger(unittest.TestCase):
    client: counterfoil.Client
    workspace: counterfoil.Workspace

    @classmethod
    def setUpClass(cls) -> None:
        cls.client = counterfoil.Client()
        name = "py-" + secrets.token_hex(4)
        created = cls.client.create_workspace(name, region="eu")
        assert created.outcome == "created", created
        cls.workspace = cls.client.workspace(name)
        policy = cls.workspace.set_policy(POLICY)
        assert (policy.outcome, policy.version) == ("set", 1), policy

    @classmethod
    def tearDownClass(cls) -> None:
        cls.client.close()

    def setUp(self) -> None:
        # An entry that never comes must fail its test.
        signal.signal(signal.SIGALRM, self.too_late)
        signal.alarm(30)
        self.addCleanup(signal.alarm, 0)

    @staticmethod
    def too_late(*_: object) -> None:
        raise AssertionError("an entry, or an answer, did not come")

    def test_a_lease_from_grant_to_revocation_seen_by_who_listened_before(self) -> None:
        acme, token = self.workspace, secrets.token_urlsafe(24)
        with acme.tail("lease.*") as entries:
            granted = acme.request_lease(lease_id="fix-1", **GRANT)
            self.assertEqual((granted.outcome, granted.lease.state, granted.lease.max_uses), ("granted", "granted", 3))
            issued = acme.issued("fix-1", secret=counterfoil.Secret(value=token))
            self.assertEqual((issued.outcome, issued.lease.state), ("issued", "active"))
            used = acme.consume("fix-1", operation=f"git clone https://x:{token}@github.com/acme/shop \u2028 \u0085 done")
            self.assertEqual((used.outcome, used.lease.uses), ("consumed", 1))
            denied = acme.request_lease(**{**GRANT, "scope": ["contents:write"]})
            self.assertEqual((denied.outcome, denied.reason_code), ("denied", "policy"))
            self.assertGreater(denied.receipt.seq, used.receipt.seq)
            revoked = acme.revoke("fix-1", reason="the run was cancelled")
            self.assertEqual((revoked.outcome, revoked.lease.state), ("revoked", "revoked"))
            again = acme.consume("fix-1")
            self.assertEqual((again.outcome, again.reason_code), ("denied", "revoked"))
            seen = [next(entries) for _ in range(6)]
        kinds = ["lease.granted", "lease.issued", "lease.consumed", "lease.denied", "lease.revoked", "lease.denied"]
        self.assertEqual([entry["kind"] for entry in seen], kinds)
        self.assertEqual(seen[4]["leaseId"], "fix-1")
        self.assertEqual(seen[4]["seq"], revoked.receipt.seq)
        self.assertIn(" \u2028 \u0085 done", seen[2]["operation"])
        self.assertIn("known-secret", seen[2]["operation"], "the ledger was given the very secret")
        self.assertNotIn(token, str(seen))
        history = acme.lease("fix-1", wait=again.receipt.seq)["history"]
        self.assertEqual([entry["kind"] for entry in history][:3], kinds[:3])
        pages = list(acme.entries(lease="fix-1", kind=["lease.consumed"], limit=1))
        self.assertEqual([entry["seq"] for entry in pages], [used.receipt.seq])

    def test_the_same_key_gets_the_first_answer(self) -> None:
        key = counterfoil.new_key()
        first = self.workspace.request_lease(lease_id="key-1", key=key, **GRANT)
        second = self.workspace.request_lease(lease_id="key-1", key=key, **GRANT)
        self.assertEqual(first.receipt.seq, second.receipt.seq)
        self.assertIs(second.replayed, True)
        self.assertEqual(str(first.receipt.id), str(key))
        other = self.workspace.request_lease(lease_id="key-2", **GRANT)
        self.assertNotEqual(other.receipt.seq, first.receipt.seq)

    def test_revokes_all_of_a_run(self) -> None:
        for number in range(3):
            self.workspace.request_lease(**{**GRANT, "run": "run-all", "lease_id": f"all-{number}"})
        with self.workspace.revocations() as killed:
            ordered = self.workspace.revoke_all(run="run-all", reason="stop")
            self.assertEqual((ordered.outcome, ordered.matched), ("ordered", 3))
            leases = set()
            while len(leases) < 3:
                entry = next(killed)
                if entry["kind"] == "lease.revoked":
                    leases.add(entry["leaseId"])
        self.assertEqual(leases, {"all-0", "all-1", "all-2"})

    def test_pages_go_on_to_the_end(self) -> None:
        for number in range(5):
            self.workspace.request_lease(**{**GRANT, "run": "run-pages", "lease_id": f"page-{number}"})
        last = self.workspace.request_lease(**{**GRANT, "run": "run-pages", "lease_id": "page-5"})
        found = [entry["leaseId"] for entry in self.workspace.entries(run="run-pages", order="asc", limit=2, wait=last.receipt.seq)]
        self.assertEqual(found, [f"page-{number}" for number in range(6)])

    def test_facts_in_bulk_have_a_result_each(self) -> None:
        secret = secrets.token_urlsafe(24)
        facts = [
            models.Fact(kind="tool.invoked", tool="git", operation="clone", outcome="ok"),
            {"kind": "tool.invoked", "colour": "red"},
            {
                "kind": "lease.granted",
                "leaseId": "known-1",
                "credential": "git_token",
                "grantee": counterfoil.agent("fixer"),
                "scope": ["contents:read"],
                "issuedAt": "2026-03-01T09:30:00Z",
                "expiresAt": "2026-03-01T09:45:00Z",
                "secret": counterfoil.Secret(value=secret),
            },
            models.Fact(kind="tool.invoked", tool="git", operation="a\u2028b", outcome="ok"),
        ]
        self.assertNotIn(secret, repr(facts))
        results = list(self.workspace.append_facts(facts))
        codes = [result["error"]["code"] if "error" in result else "recorded" for result in results]
        self.assertEqual(codes, ["recorded", "unknown_field", "recorded", "recorded"], results)
        self.assertTrue(all("receipt" in result for result in results if "error" not in result))

    def test_an_error_is_one_exception_that_says_what_to_do(self) -> None:
        with self.assertRaises(counterfoil.CounterfoilError) as caught:
            self.workspace.query("SELECT nothing FROM nowhere")
        error = caught.exception
        self.assertEqual((error.status, error.code), (400, "bad_query"))
        self.assertTrue(error.detail and error.hint and error.request_id)
        self.assertIn(error.request_id, str(error))
        with self.assertRaises(counterfoil.CounterfoilError) as caught:
            self.client.workspace("nobody-s").request_lease(**GRANT)
        self.assertEqual((caught.exception.status, caught.exception.code), (403, "not_allowed"))

    def test_secrets_are_in_no_text(self) -> None:
        secret = secrets.token_urlsafe(24)
        request = models.LeaseRequest(secret=counterfoil.Secret(value=secret), **{**GRANT, "scope": ["\x01"]})
        token = Path(os.environ["COUNTERFOIL_TOKEN_FILE"]).read_text().strip()
        with self.assertRaises(counterfoil.CounterfoilError) as caught:
            self.workspace.request_lease(request)
        error = caught.exception
        self.assertEqual(error.status, 400)
        with counterfoil.Client(token=token) as named:
            texts = [repr(request), str(request), f"{request.secret}", repr(error), str(error), repr(error.args)]
            texts += [repr(self.client), repr(vars(named)), repr(self.client.generated), repr(self.workspace)]
            texts += ["".join(traceback.format_exception(error))]
        self.assertIsNone(error.__context__, "exceptions of the HTTP library hold the request")
        for text in texts:
            self.assertNotIn(secret, text)
            self.assertNotIn(token, text)

    def test_a_listener_goes_on_where_it_was_cut_off(self) -> None:
        target = urlsplit(os.environ["COUNTERFOIL_URL"])
        assert target.port is not None
        proxy = CuttingProxy(target.port)
        with counterfoil.Client(f"https://127.0.0.1:{proxy.port}") as far:
            with far.workspace(self.workspace.id).tail("lease.granted") as entries:
                proxy.cut()
                expected = [self.workspace.request_lease(lease_id=f"cut-{number}", **GRANT).receipt.seq for number in range(2)]
                seen = [next(entries)["seq"] for _ in range(2)]
                proxy.cut()
                expected += [self.workspace.request_lease(lease_id=f"cut-{number}", **GRANT).receipt.seq for number in range(2, 4)]
                seen += [next(entries)["seq"] for _ in range(2)]
                self.assertEqual(entries.last, expected[-1])
        self.assertEqual(seen, expected)
        self.assertGreaterEqual(proxy.accepted, 3)
        proxy.close()

    def test_the_key_of_an_indeterminate_error_gets_the_first_answer(self) -> None:
        target = urlsplit(os.environ["COUNTERFOIL_URL"])
        assert target.port is not None
        proxy = CuttingProxy(target.port)
        with counterfoil.Client(f"https://127.0.0.1:{proxy.port}", retry_seconds=0.5) as far:
            acme = far.workspace(self.workspace.id)
            acme.query("SELECT 1")
            proxy.lose_next_answer()
            with self.assertRaises(counterfoil.CounterfoilError) as caught:
                acme.request_lease(lease_id="lost-1", **GRANT)
        self.assertEqual((caught.exception.status, caught.exception.code, proxy.accepted), (0, "indeterminate", 1))
        again = self.workspace.request_lease(lease_id="lost-1", key=caught.exception.key, **GRANT)
        self.assertEqual((again.outcome, again.replayed, str(again.receipt.id)), ("granted", True, str(caught.exception.key)))

    def test_the_authority_of_the_server_counts(self) -> None:
        with counterfoil.Client(ca_file=ssl_default_file()) as stranger:
            with self.assertRaises(counterfoil.CounterfoilError) as caught:
                stranger.workspace(self.workspace.id).query("SELECT 1")
        self.assertEqual((caught.exception.status, caught.exception.code), (0, "untrusted"))

    def test_a_token_file_is_read_for_each_request(self) -> None:
        good = Path(os.environ["COUNTERFOIL_TOKEN_FILE"]).read_text()
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "token")
            file.write_text("not.a.token\n")
            with counterfoil.Client(token_file=file) as client:
                workspace = client.workspace(self.workspace.id)
                with self.assertRaises(counterfoil.CounterfoilError) as caught:
                    workspace.query("SELECT 1")
                self.assertEqual((caught.exception.status, caught.exception.code), (401, "bad_token"))
                file.write_text(good)
                self.assertEqual(workspace.query("SELECT 1 AS one")["rows"], [[1]])


def ssl_default_file() -> str:
    """Authorities that did not vouch for the test's server."""
    import certifi

    return certifi.where()


if __name__ == "__main__":
    unittest.main()
