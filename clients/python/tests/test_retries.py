"""Against answers that a healthy ledger does not give: what is asked again, when, and with which key."""

from __future__ import annotations

import json
import tempfile
import threading
import time
import unittest
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import counterfoil
from counterfoil.generated.api.default import post_workspaces_workspace_leases_lease_consume

GRANT = {"credential": "git_token", "grantee": counterfoil.agent("fixer"), "scope": ["contents:read"], "ttl_seconds": 900}
DONE = (200, {"outcome": "consumed"}, {})
BUSY = {"type": "about:blank", "status": 503, "code": "intake_full", "detail": "full", "hint": "wait", "requestId": "r1"}


class Script:
    """Gives the next of `answers` to each request and keeps what was asked. An answer of None: the connection is closed instead; "gone":
    so is the server, and nobody answers from then on. The members of an answer may be bytes."""

    def __init__(self, *answers: tuple[int, dict[str, Any] | bytes, dict[str, str]] | str | None) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        self.before_answer: Callable[[], None] = lambda: None
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                script.before_answer()
                script.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
                answer = script.answers.pop(0)
                if answer is None or isinstance(answer, str):
                    self.close_connection = True
                    if answer == "gone":
                        script.__exit__()
                    return
                status, members, headers = answer
                text = members if isinstance(members, bytes) else json.dumps(members).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json" if status < 400 else "application/problem+json")
                self.send_header("Content-Length", str(len(text)))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_PUT = do_POST

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> Script:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def keys(self) -> list[str | None]:
        return [headers.get("idempotency-key") for _, headers, _ in self.asked]


class Retries(unittest.TestCase):
    def test_waits_as_told_and_asks_again_with_the_same_key(self) -> None:
        with Script((503, BUSY, {"Retry-After": "1"}), (429, BUSY, {"Retry-After": "0"}), DONE, DONE) as script:
            with counterfoil.Client(script.url, token="t") as client:
                began = time.monotonic()
                self.assertEqual(client.workspace("w").consume("L").outcome, "consumed")
                self.assertGreaterEqual(time.monotonic() - began, 1.0)
                client.workspace("w").consume("L")
        first, second, third, other = script.keys()
        self.assertEqual([first, first], [second, third])
        self.assertNotEqual(first, other)
        self.assertEqual(uuid.UUID(first).version, 7)
        self.assertLess(abs((uuid.UUID(first).int >> 80) / 1000 - time.time()), 60)
        self.assertEqual([headers["authorization"] for _, headers, _ in script.asked], ["Bearer t"] * 4)

    def test_a_lost_connection_is_asked_again_with_the_same_key(self) -> None:
        with Script(None, DONE) as script, counterfoil.Client(script.url, token="t") as client:
            self.assertEqual(client.workspace("w").consume("L").outcome, "consumed")
        self.assertEqual(len(script.asked), 2)
        self.assertEqual(script.keys()[0], script.keys()[1])
        self.assertIsNotNone(script.keys()[0])

    def test_a_key_of_ones_own_is_in_the_body_and_nowhere_else(self) -> None:
        key = counterfoil.new_key()
        granted = (201, {"outcome": "granted"}, {})
        with Script((503, BUSY, {"Retry-After": "0"}), granted) as script, counterfoil.Client(script.url, token="t") as client:
            client.workspace("w").request_lease(key=key, **GRANT)
        self.assertEqual([json.loads(body)["id"] for _, _, body in script.asked], [str(key)] * 2)
        self.assertEqual(script.keys(), [None, None])

    def test_a_workspace_is_made_with_a_key(self) -> None:
        with Script((201, {"outcome": "created"}, {})) as script, counterfoil.Client(script.url, token="t") as client:
            client.create_workspace("w")
        self.assertEqual(uuid.UUID(script.keys()[0]).version, 7)

    def test_gives_up_when_the_wait_is_longer_than_its_time(self) -> None:
        with Script((503, BUSY, {"Retry-After": "60"})) as script:
            with counterfoil.Client(script.url, token="t", retry_seconds=5) as client:
                with self.assertRaises(counterfoil.CounterfoilError) as caught:
                    client.workspace("w").consume("L")
        self.assertEqual((caught.exception.status, caught.exception.code, caught.exception.request_id), (503, "intake_full", "r1"))
        self.assertEqual(len(script.asked), 1)

    def test_what_is_wrong_is_asked_once(self) -> None:
        with Script((409, {**BUSY, "status": 409, "code": "idempotency_conflict"}, {})) as script:
            with counterfoil.Client(script.url, token="t") as client:
                with self.assertRaises(counterfoil.CounterfoilError) as caught:
                    client.workspace("w").consume("L")
        self.assertEqual(caught.exception.code, "idempotency_conflict")
        self.assertEqual(len(script.asked), 1)

    def consume(self, *answers: Any, **options: Any) -> tuple[Script, counterfoil.CounterfoilError]:
        """What one command came to that was answered like this."""
        with Script(*answers) as script, counterfoil.Client(script.url, token="t", **{"retry_seconds": 0.5, **options}) as client:
            with self.assertRaises(counterfoil.CounterfoilError) as caught:
                client.workspace("w").consume("L")
        self.assertEqual(len(script.asked), len(answers))
        self.assertIsNone(caught.exception.__context__)
        return script, caught.exception

    def test_what_came_to_an_unknown_end_is_indeterminate_whatever_fails_later(self) -> None:
        for answers in (
            (None, "gone"),
            ("gone",),
            (None, (503, BUSY, {"Retry-After": "60"})),
            (None, (401, {**BUSY, "status": 401, "code": "expired_token"}, {})),
            ((503, {**BUSY, "code": "indeterminate"}, {"Retry-After": "0"}), (503, BUSY, {"Retry-After": "60"})),
            ((504, {}, {"Retry-After": "60"}),),
        ):
            with self.subTest(answers=answers):
                script, error = self.consume(*answers)
                self.assertEqual((error.status, error.code), (0, "indeterminate"))
                self.assertEqual([str(error.key)] * len(answers), script.keys())
                self.assertIn(str(error.key), str(error))

    def test_the_hint_names_what_the_last_try_came_to(self) -> None:
        _, error = self.consume(None, (401, {**BUSY, "status": 401, "code": "expired_token"}, {}))
        self.assertIn("expired_token", error.hint)

    def test_an_answer_to_the_same_key_settles_what_was_unknown(self) -> None:
        script, error = self.consume(None, (409, {**BUSY, "status": 409, "code": "workspace_closed"}, {}))
        self.assertEqual((error.status, error.code, str(error.key)), (409, "workspace_closed", script.keys()[0]))

    def test_what_surely_reached_nobody_is_not_indeterminate(self) -> None:
        _, error = self.consume((503, BUSY, {"Retry-After": "0"}), (503, BUSY, {"Retry-After": "60"}))
        self.assertEqual((error.status, error.code, error.request_id), (503, "intake_full", "r1"))

    def test_a_reading_is_never_indeterminate_for_long(self) -> None:
        with Script("gone") as script, counterfoil.Client(script.url, token="t", retry_seconds=0.5) as client:
            with self.assertRaises(counterfoil.CounterfoilError) as caught:
                client.workspace("w").lease("L")
        self.assertEqual((caught.exception.code, caught.exception.key), ("not_ready", None))

    def test_a_token_file_that_is_gone_settles_nothing(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "token")
            file.write_text("t")
            with Script(None) as script, counterfoil.Client(script.url, token_file=file) as client:
                script.before_answer = file.unlink
                with self.assertRaises(counterfoil.CounterfoilError) as caught:
                    client.workspace("w").consume("L")
        self.assertEqual((caught.exception.code, str(caught.exception.key)), ("indeterminate", script.keys()[0]))
        self.assertIn("unreadable_input", caught.exception.hint)

    def test_the_key_of_an_error_asks_again(self) -> None:
        with Script(None, DONE) as script:
            with counterfoil.Client(script.url, token="t", retry_seconds=0) as client:
                with self.assertRaises(counterfoil.CounterfoilError) as caught:
                    client.workspace("w").consume("L")
                client.workspace("w").consume("L", key=caught.exception.key)
        self.assertEqual(caught.exception.code, "indeterminate")
        self.assertEqual(json.loads(script.asked[1][2])["id"], script.keys()[0])

    def test_a_key_of_ones_own_is_in_the_error_too_and_no_other_id_is(self) -> None:
        key = counterfoil.new_key()
        refused = (409, {**BUSY, "status": 409, "code": "already_exists"}, {})
        with Script(*[refused] * 4) as script, counterfoil.Client(script.url, token="t") as client:
            for use in (
                lambda: client.workspace("w").request_lease(key=key, **GRANT),
                lambda: client.create_workspace("w", key=key),
            ):
                with self.assertRaises(counterfoil.CounterfoilError) as caught:
                    use()
                self.assertEqual(caught.exception.key, key)
            for text in ("a text of somebody", "0123456789abcdef" * 2):
                with self.assertRaises(counterfoil.CounterfoilError) as caught:
                    client.generated.get_httpx_client().post("/v1/workspaces/w/leases/L/consume", json={"id": text})
                self.assertIsNone(caught.exception.key)
        self.assertEqual(script.keys(), [None, str(key), None, None])

    def test_routes_of_the_generated_code_take_a_key(self) -> None:
        key = str(counterfoil.new_key())
        with Script(DONE) as script, counterfoil.Client(script.url, token="t") as client:
            consume = post_workspaces_workspace_leases_lease_consume.sync_detailed
            consume("w", "L", client=client.generated, body=counterfoil.models.LeaseConsume(), idempotency_key=key)
        self.assertEqual(script.keys(), [key])
        self.assertNotIn("UUID", str(consume.__annotations__["idempotency_key"]), "httpx takes texts only")

    def test_facts_with_fewer_or_broken_results_came_to_an_unknown_end(self) -> None:
        result = b'{"outcome":"recorded"}'
        for answer in (b"", result, result + b"\n" + result[:7], result + b"\n[]", result + b"\n\xc3", b"\n".join([result] * 3)):
            with self.subTest(answer=answer):
                with Script((200, answer, {})) as script, counterfoil.Client(script.url, token="t") as client:
                    with self.assertRaises(counterfoil.CounterfoilError) as caught:
                        list(client.workspace("w").append_facts([{"kind": "tool.invoked"}, {"kind": "tool.invoked"}]))
                self.assertEqual((caught.exception.status, caught.exception.code), (0, "indeterminate"))
                self.assertIsNone(caught.exception.__context__)
                self.assertEqual(len(script.asked), 1)

    def test_facts_in_bulk_carry_no_key(self) -> None:
        facts = [{"kind": "tool.invoked"}]
        with Script(None, DONE) as script, counterfoil.Client(script.url, token="t") as client:
            list(client.workspace("w").append_facts(facts))
            headers = {"Content-Type": "Application/X-NDJSON; charset=utf-8", "Idempotency-Key": str(counterfoil.new_key())}
            with self.assertRaises(counterfoil.CounterfoilError) as caught:
                client.generated.get_httpx_client().post("/v1/workspaces/w/facts", content=b"{}", headers=headers)
        self.assertEqual(script.keys(), [None, None])
        self.assertEqual(caught.exception.code, "usage")

    def test_facts_that_are_asked_again_carry_the_same_ids(self) -> None:
        with Script(None, (200, {"outcome": "recorded"}, {})) as script, counterfoil.Client(script.url, token="t") as client:
            self.assertEqual(len(list(client.workspace("w").append_facts([{"kind": "tool.invoked"}]))), 1)
        bodies = [body for _, _, body in script.asked]
        self.assertEqual(bodies[0], bodies[1])
        self.assertEqual(uuid.UUID(json.loads(bodies[0])["id"]).version, 7)

    def test_an_answer_that_is_not_documented_is_an_error_too(self) -> None:
        with Script((200, {"result": "fine"}, {})) as script, counterfoil.Client(script.url, token="t") as client:
            with self.assertRaises(counterfoil.CounterfoilError) as caught:
                client.workspace("w").consume("L")
        self.assertEqual(caught.exception.code, "unexpected_answer")

    def test_nobody_there(self) -> None:
        with Script() as script:
            url = script.url
        with counterfoil.Client(url, token="t0ken", retry_seconds=0.3) as client:
            with self.assertRaises(counterfoil.CounterfoilError) as caught:
                client.workspace("w").consume("L")
        self.assertEqual((caught.exception.status, caught.exception.code), (0, "not_ready"))
        self.assertIsNone(caught.exception.__context__)

    def test_no_token_goes_in_clear_to_another_machine(self) -> None:
        for url in ("http://192.0.2.1:8780", "http://ledger.example.com", "https://user:word@ledger.example.com", "ftp://localhost", ""):
            with self.assertRaises(counterfoil.CounterfoilError) as caught:
                counterfoil.Client(url, token="t")
            self.assertEqual(caught.exception.code, "usage", url)
            self.assertNotIn("word", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
