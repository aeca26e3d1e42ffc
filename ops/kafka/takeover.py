"""Loads live leases into a ledger of two nodes, kills the one that writes and times the other's first receipt. See ops/kafka/takeover."""
import datetime
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time

BATCH = 10_000
PATIENCE = 120.0
POLICY = """name = "takeover"
[[rule]]
name = "any"
effect = "allow"
maxTtlSeconds = 900
"""


def say(text: str) -> None:
    print(f"takeover: {text}", file=sys.stderr)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Node:
    def __init__(self, binary: str, scratch: str, name: str) -> None:
        self.binary, self.data, self.name = binary, f"{scratch}/{name}", name
        self.port, self.admin = free_port(), free_port()
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        # One producer loads a million entries at once.
        limits = {"COUNTERFOIL_WORKSPACE_ENTRIES_PER_SECOND": "1000000", "COUNTERFOIL_PRINCIPAL_ENTRIES_PER_SECOND": "1000000"}
        words = [self.binary, "serve", "--data", self.data, "--listen", f"127.0.0.1:{self.port}", "--admin-listen", f"127.0.0.1:{self.admin}"]
        log = open(f"{self.data}.log", "ab")
        self.process = subprocess.Popen(words, stdout=log, stderr=log, env=os.environ | limits | {"COUNTERFOIL_NODE_NAME": self.name})

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def metric(self, name: str) -> float:
        try:
            _, text = request(self.admin, "GET", "/metrics")
        except OSError:
            return -1
        found = [line.split()[-1] for line in text.splitlines() if line.startswith(name + " ")]
        return float(found[0]) if found else -1

    def run(self, *words: str) -> str:
        done = subprocess.run([self.binary, *words, "--data", self.data], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""


def request(port: int, method: str, path: str, body: str = "", token: str = "", kind: str = "application/json", seconds: float = 60) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        headers = {"Content-Type": kind} | ({"Authorization": f"Bearer {token}"} if token else {})
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def until(what: str, condition) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"takeover: {what} did not come about within {PATIENCE:.0f} s")
        time.sleep(0.1)


def load(node: Node, leases: int) -> None:
    token = node.run("token", "mint", "--role", "admin")
    now = datetime.datetime.now(datetime.timezone.utc)
    times = {"occurredAt": now.strftime("%Y-%m-%dT%H:%M:%SZ"), "expiresAt": (now + datetime.timedelta(hours=12)).strftime("%Y-%m-%dT%H:%M:%SZ")}
    started = time.monotonic()
    for first in range(0, leases, BATCH):
        lines = []
        for index in range(first, min(first + BATCH, leases)):
            fact = {"kind": "lease.granted", "leaseId": f"live-{index}", "credential": "git_token", "scope": ["contents:read"],
                    "grantee": {"kind": "agent", "id": f"agent-{index % 1000}"}, "resources": [f"github.com/acme/{index % 5000}"]} | times
            lines.append(json.dumps(fact))
        status, text = request(node.port, "POST", "/v1/workspaces/acme/facts", "\n".join(lines) + "\n", token, "application/x-ndjson")
        if status != 200 or '"code"' in text:
            sys.exit(f"takeover: loading was answered {status}: {text[:300]}")
    say(f"{leases} leases in {time.monotonic() - started:.0f} s")


def receipt(node: Node, token: str, lease: str) -> bool:
    body = {"leaseId": lease, "credential": "git_token", "grantee": {"kind": "agent", "id": "fixer"}, "scope": ["contents:read"], "ttlSeconds": 900}
    try:
        status, _ = request(node.port, "POST", "/v1/workspaces/acme/leases", json.dumps(body), token, seconds=5)
    except OSError:
        return False
    return status == 201


def main() -> None:
    binary, scratch, leases, runs, bound = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
    nodes = [Node(binary, scratch, name) for name in ("a", "b")]
    try:
        measure(nodes, leases, runs, bound)
    finally:
        for node in nodes:
            if node.process is not None and node.process.poll() is None:
                node.kill()


def measure(nodes: list[Node], leases: int, runs: int, bound: float) -> None:
    for node in nodes:
        node.start()
    until("a writer", lambda: any(node.metric("counterfoil_writer") == 1 for node in nodes))
    until("the workspace", lambda: nodes[0].run("workspace", "create", "acme") != "" or nodes[0].run("workspace", "show", "acme") != "")
    policy = f"{nodes[0].data}.policy.toml"
    with open(policy, "w", encoding="utf-8") as file:
        file.write(POLICY)
    until("the policy", lambda: nodes[0].run("policy", "set", "--workspace", "acme", policy) != "")
    load(nodes[0], leases)
    worst = 0.0
    for run in range(runs):
        until("both nodes with all leases", lambda: all(node.metric("counterfoil_live_leases") >= leases for node in nodes))
        until("one writer", lambda: sum(node.metric("counterfoil_writer") for node in nodes) == 1)
        writer = next(node for node in nodes if node.metric("counterfoil_writer") == 1)
        other = next(node for node in nodes if node is not writer)
        token = other.run("token", "mint", "--role", "member", "--workspace", "acme")
        if not token or not receipt(other, token, f"before-{run}"):
            sys.exit("takeover: the node that does not write takes no request before anything is broken")
        writer.kill()
        killed = time.monotonic()
        while not receipt(other, token, f"after-{run}"):
            if time.monotonic() - killed > PATIENCE:
                sys.exit(f"takeover: no receipt within {PATIENCE:.0f} s")
            time.sleep(0.05)
        seconds = time.monotonic() - killed
        worst = max(worst, seconds)
        print(f"{leases} live leases: first new receipt {seconds:.2f} s after the writer was killed", flush=True)
        writer.start()
    sys.exit(0 if worst <= bound else 1)


if __name__ == "__main__":
    main()
