"""What a fault is played on: a real cluster of brokers, nodes of the ledger, clients, and the log read back by another client."""
import bisect
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.parse

import kafka
import kafka.admin
import kafka.errors

import checker

ROOT = pathlib.Path(__file__).resolve().parents[3]
CLUSTER = ROOT / "ops/kafka/cluster"
TOPIC_SETTINGS = ROOT / "ops/kafka/ledger_topic.properties"
ABSENT = 3  # exit status of ops/kafka/cluster: Java or the jars are not to be had


class NotRun(Exception):
    """This machine, or this version of the ledger, cannot play the row; the text says why."""


class Broken(Exception):
    """The row did not go as it must; the text says what."""


def run(*words, check=True, **more):
    done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, capture_output=True, text=True, **more)
    if check and done.returncode != 0:
        raise Broken(f"{words[0]} {words[1] if len(words) > 1 else ''} ended with {done.returncode}: {(done.stderr or done.stdout)[-500:]}")
    return done


def wait_for(what, condition, seconds, pause=0.05):
    """The condition's first true value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Broken(f"{what}: not within {seconds:.0f} s")
        time.sleep(pause)


class Cluster:
    """Three brokers of ops/kafka/cluster in a folder of their own."""

    def __init__(self, folder, settings=(), forgets_after=0):
        self.folder, self.forgets_after = folder, forgets_after
        self.mounts = []
        words = [word for setting in settings for word in ("--set", setting)]
        done = self._verb("start", "--brokers", 3, "--port", "auto", *words, check=False)
        if done.returncode == ABSENT:
            raise NotRun(done.stderr.strip().splitlines()[-1])
        if done.returncode != 0:
            raise Broken(f"the cluster does not start: {done.stderr[-500:]}")
        self.addresses = done.stdout.strip()
        self.port = int(self.addresses.rsplit(":", 1)[1])
        self.ids = [1, 2, 3]
        self._number = 0

    def _verb(self, verb, *words, check=True):
        return run(CLUSTER, verb, *words, "--folder", self.folder, check=check)

    def kill(self, *ids):
        self._verb("kill", *ids)

    def restart(self, *ids):
        self._verb("restart", *ids)

    def pause(self, *ids):
        self._verb("pause", *ids)

    def resume(self, *ids):
        self._verb("resume", *ids)

    def running(self):
        return [id for id in self.ids if f"broker {id} at 127.0.0.{id}:{self.port}: running" in self._verb("status", check=False).stdout]

    def heal(self):
        """All brokers run, whatever a row left behind."""
        for line in self._verb("status", check=False).stdout.splitlines():
            if ": paused" in line:
                self.resume(int(line.split()[1]))
        missing = [id for id in self.ids if id not in self.running()]
        if missing:
            self.restart(*missing)

    def onto_tmpfs(self, megabytes):
        """Each broker's data moves to a file system of its own, of a size that can be filled."""
        self._verb("stop")
        for id in self.ids:
            data = self.folder / f"n{id}/data"
            aside = data.with_name("aside")
            data.rename(aside)
            data.mkdir()
            made = run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", data, check=False)
            if made.returncode != 0:
                raise NotRun(f"tmpfs cannot be mounted here: {made.stderr.strip()[-100:]}")
            self.mounts.append(data)
            shutil.copytree(aside, data, dirs_exist_ok=True)
            shutil.rmtree(aside)
        self._verb("start")

    def stop(self):
        self._verb("stop", check=False)
        for mount in self.mounts:
            # A killed process is gone a moment before what it had mapped.
            wait_for("the end of a file system", lambda: run("umount", mount, check=False).returncode == 0, 20, 0.2)
        self.mounts = []
        self._verb("stop", "--remove", check=False)

    def admin(self):
        return kafka.admin.KafkaAdminClient(bootstrap_servers=self.addresses.split(","), request_timeout_ms=15_000)

    def ask(self, call, seconds=30):
        """What a client for administrators answers. It may ask a broker first that has just been killed."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                admin = self.admin()
                try:
                    return call(admin)
                finally:
                    admin.close()
            except (kafka.errors.KafkaError, OSError) as error:
                if time.monotonic() > deadline:
                    raise Broken(f"the cluster does not answer an administrator: {error}") from error
                time.sleep(0.2)

    def kafka_admin(self, *words, check=True):
        program = os.environ.get("COUNTERFOIL_KAFKA_ADMIN", ROOT / "build/release/bin/kafka_admin")
        return run(program, "--bootstrap", self.addresses, *words, check=check)

    def make_topic(self, partitions=1):
        self._number += 1
        name = f"ledger-{self._number}"
        self.kafka_admin("create", name, partitions, 3, TOPIC_SETTINGS)
        return name

    def set_topic(self, topic, **settings):
        self.kafka_admin("set", topic, *(f"{name}={value}" for name, value in settings.items()))

    def partition(self, topic, number=0):
        """{'leader_id', 'replica_nodes', 'isr_nodes', ...}"""
        found = self.ask(lambda admin: admin.describe_topics([topic]))
        partitions = found[0]["partitions"] if found else []
        for each in partitions:
            if each["partition_index"] == number:
                return each
        return None

    def leader(self, topic, number=0):
        found = self.partition(topic, number)
        if found is None or found["leader_id"] not in self.ids:
            raise Broken(f"topic {topic} has no leader")
        return found["leader_id"]

    def ends(self, topic, partitions):
        """A function that tells where each partition ends now."""
        consumer = kafka.KafkaConsumer(bootstrap_servers=self.addresses.split(","), group_id=None)
        places = [kafka.TopicPartition(topic, number) for number in range(partitions)]
        return lambda: [consumer.end_offsets(places)[place] for place in places]

    def read(self, topic):
        """Every record of every partition up to the high watermark: [[checker.Record]]. Checksums are checked by the client."""
        consumer = kafka.KafkaConsumer(
            bootstrap_servers=self.addresses.split(","), check_crcs=True, enable_auto_commit=False, auto_offset_reset="none", group_id=None,
            isolation_level="read_uncommitted", max_partition_fetch_bytes=8 << 20, fetch_max_bytes=32 << 20)
        try:
            result = []
            for number in sorted(consumer.partitions_for_topic(topic)):
                place = kafka.TopicPartition(topic, number)
                consumer.assign([place])
                begin, end = consumer.beginning_offsets([place])[place], consumer.end_offsets([place])[place]
                if begin != 0:
                    raise Broken(f"partition {number} begins at offset {begin}")
                consumer.seek(place, 0)
                records = []
                deadline = time.monotonic() + 60
                while len(records) < end:
                    for message in consumer.poll(timeout_ms=500, max_records=20_000).get(place, []):
                        headers = [value for name, value in message.headers if name == "cf"]
                        # Of other records only the header matters here.
                        value = message.value or b"" if headers and headers[-1][:1] == bytes([checker.CLAIM]) else b""
                        records.append(checker.Record(message.offset, headers, value))
                    if time.monotonic() > deadline:
                        raise Broken(f"partition {number}: {len(records)} of {end} records could be read")
                result.append([record for record in records if record.offset < end])
            return result
        finally:
            consumer.close()


def free_port():
    """Below the ports that the kernel gives to clients: none of their connections takes it while its node is down."""
    while True:
        port = random.randint(20000, 31999)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Node:
    """A data folder and the `serve` on it. What the process takes of the machine is sampled while it runs."""

    def __init__(self, stage, name, gid=0):
        self.stage, self.name, self.gid = stage, name, gid
        self.folder = stage.folder / name
        self.process = None
        self.port = free_port()  # the same after a restart: it is where the others reach this node
        self.environment = {}
        self.worst = {"threads": 0, "descriptors": 0, "megabytes": 0}
        self.first = None
        self.unexpected = None

    @property
    def url(self):
        return self.facts["url"]

    def start(self, seconds=60):
        (self.folder / "server.json").unlink(missing_ok=True)
        environment = dict(os.environ, COUNTERFOIL_WORKSPACE_ENTRIES_PER_SECOND="1000000", COUNTERFOIL_PRINCIPAL_ENTRIES_PER_SECOND="1000000")
        environment["COUNTERFOIL_NODE_NAME"] = self.name
        environment.update(self.environment)
        words = [self.stage.binary, "serve", "--data", self.folder, "--listen", f"127.0.0.1:{self.port}", "--admin-listen", "127.0.0.1:0"]
        log = open(self.stage.folder / f"{self.name}.log", "ab")
        self.log_begin = log.tell()
        # The group of its own is what a packet filter knows this node's packets by.
        more = {"group": self.gid, "extra_groups": []} if self.gid and os.geteuid() == 0 else {}
        self.process = subprocess.Popen([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, **more)
        log.close()

        def there():
            if self.process.poll() is not None:
                raise Broken(f"{self.name} ended with {self.process.returncode} at its start: {self.said()}")
            return (self.folder / "server.json").exists()

        wait_for(f"{self.name} serves", there, seconds)
        self.facts = json.loads((self.folder / "server.json").read_text())
        self.first = None
        return self

    def said(self, count=3):
        lines = (self.stage.folder / f"{self.name}.log").read_text(errors="replace").splitlines()
        return " | ".join(lines[-count:])

    def refuses(self, status=None, seconds=60):
        """Starts, and must end by itself, with this exit status if one is given; what it said."""
        words = [str(self.stage.binary), "serve", "--data", str(self.folder), "--listen", "127.0.0.1:0", "--admin-listen", "none"]
        try:
            done = run(*words, check=False, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise Broken(f"{self.name} serves what is left of the topic") from None
        if done.returncode == 0 or status not in (None, done.returncode):
            raise Broken(f"{self.name} should refuse, and ended with {done.returncode}: {done.stderr[-300:]}")
        return done.stderr + done.stdout

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                self.unexpected = self.unexpected or "did not end within 60 s of SIGTERM"
        if self.process.returncode not in (0, None):
            self.unexpected = self.unexpected or f"ended with {self.process.returncode}: {self.said()}"
        self.process = None

    def kill(self):
        if self.alive():
            self.process.kill()
        if self.process is not None:
            self.process.wait()
        self.process = None

    def sample(self):
        if not self.alive():
            return
        try:
            status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
            now = {
                "threads": int(status.split("Threads:")[1].split()[0]),
                "megabytes": int(status.split("VmRSS:")[1].split()[0]) // 1024,
                "descriptors": len(os.listdir(f"/proc/{self.process.pid}/fd")),
            }
        except (OSError, IndexError):
            return
        self.first = self.first or now
        for key, value in now.items():
            self.worst[key] = max(self.worst[key], value)

    def ask(self, path, token, seconds=30):
        place = urllib.parse.urlsplit(self.url)
        connection = http.client.HTTPConnection(place.hostname, place.port, timeout=seconds)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def writes(self):
        """In how many partitions it decides, as its metric says."""
        if not self.alive():
            return 0
        try:
            metrics = self._admin("/metrics")[1]
        except (OSError, http.client.HTTPException):
            return 0
        return next((int(float(line.split()[1])) for line in metrics.splitlines() if line.startswith("counterfoil_writer ")), 0)

    def ready(self):
        """(whether it is, what it says)"""
        try:
            status, text = self._admin("/readyz")
            return status == 200, text.strip()
        except (OSError, http.client.HTTPException) as error:
            return False, str(error)

    def _admin(self, path):
        place = urllib.parse.urlsplit(self.facts["adminUrl"])
        connection = http.client.HTTPConnection(place.hostname, place.port, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode("utf-8", "replace")
        finally:
            connection.close()

    def listing(self, workspace, number, seq, token):
        """Every entry of the workspace, as this node shows it, once its view holds entry `seq`."""
        result, cursor = [], ""
        while True:
            path = f"/v1/workspaces/{workspace}/entries?limit=1000&order=asc" + (f"&after={urllib.parse.quote(cursor)}" if cursor else f"&wait={seq}")
            for _ in range(40):
                status, body = self.ask(path, token)
                if status != 503:
                    break
                time.sleep(0.5)
            if status != 200:
                raise Broken(f"{self.name} does not list workspace {workspace}: {status} {body[:200]!r}")
            answer = json.loads(body)
            result += [checker.Listed(number, item["seq"], item["leafHash"], item["id"]) for item in answer["items"]]
            cursor = answer.get("next")
            if not cursor:
                return result


def uuid7(dice):
    return uuid_text(int(time.time() * 1000) << 80 | 7 << 76 | dice.getrandbits(12) << 64 | 2 << 62 | dice.getrandbits(62))


def uuid_text(number):
    text = f"{number:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


class Load:
    """Clients that send commands and do not rest until each of them has its answer: the same id again, after whatever went wrong."""

    def __init__(self, nodes, tokens, workspaces, seed, clients=8, per_second=400):
        self.nodes, self.tokens, self.workspaces = nodes, tokens, workspaces
        self.pause = clients / per_second
        self.stopping = threading.Event()
        self.giving_up = threading.Event()
        self.resting = threading.Event()  # no new commands
        self.holding = threading.Event()  # and none is sent again
        self.avoid = None  # a node that no client asks
        self.lock = threading.Lock()
        self.answers = []  # checker.Answer, in the order they came
        self.times = []  # of acknowledgements
        self.numbers = []  # of their workspaces
        self.retried = set()  # ids that had another answer before their acknowledgement
        self.refused = {}  # what other answers there were -> how often
        self.threads = [threading.Thread(target=self._client, args=(number, seed), daemon=True) for number in range(clients)]

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def _client(self, number, seed):
        dice = random.Random(seed * 1_000 + number)
        patience = (3, 10, 30)[number % 3]
        at = number % len(self.nodes)
        connection = None
        while not self.stopping.is_set():
            began = time.monotonic()
            if self.resting.is_set():
                time.sleep(0.02)
                continue
            id = uuid7(dice)
            path, body = self._command(dice, id)
            while not self.giving_up.is_set():
                if self.holding.is_set():
                    time.sleep(0.02)
                    continue
                if self.nodes[at] is self.avoid:
                    if connection is not None:
                        connection.close()
                    connection, at = None, (at + 1) % len(self.nodes)
                node = self.nodes[at]
                answer, connection, pause = self._send(node, connection, path, body, id, patience)
                with self.lock:
                    self.answers.append(answer)
                    if answer.seq >= 0:
                        self.times.append(time.monotonic())
                        self.numbers.append(answer.number)
                    else:
                        self.retried.add(id)
                if answer.seq >= 0:
                    break
                if len(self.nodes) > 1:
                    if connection is not None:
                        connection.close()
                    connection, at = None, (at + 1) % len(self.nodes)
                time.sleep(pause * (0.5 + dice.random()))
            time.sleep(max(0.0, began + self.pause - time.monotonic()))
        if connection is not None:
            connection.close()

    def _command(self, dice, id):
        workspace = dice.choice(self.workspaces)
        run = f"run-{dice.randrange(50)}"
        if dice.random() < 0.2:
            lease = {"id": id, "credential": "git_token", "grantee": {"kind": "agent", "id": f"agent-{dice.randrange(20)}"}, "run": run,
                     "scope": ["contents:read"], "resources": [f"github.com/acme/shop-{dice.randrange(5)}"], "ttlSeconds": 3600}
            return f"/v1/workspaces/{workspace}/leases", json.dumps(lease)
        fact = {"id": id, "kind": "tool.invoked", "run": run, "tool": dice.choice(("git", "make", "curl")), "operation": "x" * dice.randrange(5, 400),
                "outcome": "ok"}
        return f"/v1/workspaces/{workspace}/facts", json.dumps(fact)

    def _send(self, node, connection, path, body, id, patience):
        status, why, pause = 0, "", 0.1
        try:
            if connection is None:
                place = urllib.parse.urlsplit(node.url)
                connection = http.client.HTTPConnection(place.hostname, place.port, timeout=patience)
            headers = {"Authorization": f"Bearer {self.tokens[node.name]}", "Content-Type": "application/json"}
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            text = response.read()
            status = response.status
            answer = json.loads(text)
            if "receipt" in answer:
                receipt = answer["receipt"]
                return checker.Answer(id, status, receipt["number"], receipt["seq"], receipt["leafHash"], bool(answer.get("replayed")),
                                      response.headers.get("X-Counterfoil-Node", "")), connection, 0
            why = answer.get("code", "")
            pause = 0.2
            if status < 500:
                pause = 1.0
        except (OSError, http.client.HTTPException, ValueError) as error:
            why = type(error).__name__
            if connection is not None:
                connection.close()
            connection = None
        with self.lock:
            key = f"{status} {why}".strip()
            self.refused[key] = self.refused.get(key, 0) + 1
        return checker.Answer(id, status), connection, pause

    def acknowledged(self):
        with self.lock:
            return len(self.times)

    def wait_for(self, count, seconds):
        begin = self.acknowledged()
        wait_for(f"{count} acknowledgements", lambda: self.acknowledged() >= begin + count, seconds)

    def since(self, moment):
        """[(time, number of the workspace)] of acknowledgements, in the order they came."""
        with self.lock:
            begin = bisect.bisect_left(self.times, moment)
            return list(zip(self.times[begin:], self.numbers[begin:]))

    def stop(self, seconds=60):
        """No new commands; those without an answer are asked again until they have one."""
        self.stopping.set()
        deadline = time.monotonic() + seconds
        for thread in self.threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self.giving_up.set()
        for thread in self.threads:
            thread.join(40)

    def stalls(self):
        with self.lock:
            times = sorted(self.times)
        return max((later - earlier for earlier, later in zip(times, times[1:])), default=0.0)


POLICY = """name = "everything"
[[rule]]
name = "everything"
effect = "allow"
maxTtlSeconds = 86400
"""


class Stage:
    """A fresh topic, a fresh ledger in it, its nodes and clients. One row is played on it."""

    def __init__(self, cluster, folder, binary, seed, short, partitions=1):
        self.cluster, self.folder, self.binary, self.seed, self.short = cluster, folder, binary, seed, short
        self.dice = random.Random(seed)
        self.folder.mkdir(parents=True)
        self.topic, self.partitions = cluster.make_topic(partitions), partitions
        self.nodes = [Node(self, name, gid) for name, gid in (("north", 54_001), ("south", 54_002))]
        self.claim_within = 30  # the group's session, the coordinator's own move, the claim, on a machine that is busy
        self.workspaces = ["w1", "w2", "w3", "w4"]
        self.load = None
        self.tokens = {}
        self.notes = []
        self.problems = []
        self.resumed = None
        self.settled = False
        self.folded = []
        self._sampling = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)

    @property
    def node(self):
        return self.nodes[0]

    def begin(self, clients=8, per_second=400):
        log = f"kafka://{self.cluster.addresses}/{self.topic}"
        keys = self.folder / "keys"
        run(self.binary, "init", "--data", self.node.folder, "--keys", keys, "--origin", "faults.example.com", "--log", log)
        for node in self.nodes[1:]:
            run(self.binary, "init", "--join", "--data", node.folder, "--keys", keys, "--log", log)
        policy = self.folder / "policy.toml"
        policy.write_text(POLICY)
        for node in self.nodes:
            node.start()
        for workspace in self.workspaces:
            self.tell("workspace", "create", workspace)
            self.tell("policy", "set", "--workspace", workspace, policy)
        token = self.tell("token", "mint", "--role", "owner", "--ttl", "1h").stdout.splitlines()[0]
        self.tokens = {node.name: token for node in self.nodes}  # good at every node of the ledger
        self._sampler.start()
        self.load = Load(self.nodes, self.tokens, self.workspaces, self.seed, clients, per_second)
        self.load.start()
        self.load.wait_for(300, 30)
        return self

    def tell(self, *words):
        """A verb to the nodes that write something, until one takes it: who writes `_system` may be another one a moment later."""

        def told():
            for node in self.nodes:
                if not node.writes():
                    continue
                done = run(self.binary, *words, "--data", node.folder, check=False)
                if done.returncode == 0:
                    return done
                if done.returncode != 3:
                    raise Broken(f"{words[0]} {words[1]} ended with {done.returncode}: {done.stderr[-300:]}")
            return None

        return wait_for(f"{words[0]} {words[1]}", told, self.claim_within, 0.2)

    def writer(self, seconds=None):
        """A node that decides, once there is one."""
        return wait_for("a writer", lambda: next((node for node in self.nodes if node.writes()), None), seconds or self.claim_within, 0.1)

    def writer_of(self, partition):
        """The node that acknowledged last in that partition: one that was passed over may hold itself for the writer for a while."""
        with self.load.lock:
            name = next((answer.node for answer in reversed(self.load.answers)
                         if answer.seq >= 0 and self.partition_of(answer.number) == partition), "")
        return next((node for node in self.nodes if node.name == name), None) or self.writer()

    def other(self, node):
        return self.nodes[1] if node is self.nodes[0] else self.nodes[0]

    def in_step(self, count):
        """Whether each partition has so many replicas in step."""
        return all(len(self.cluster.partition(self.topic, number)["isr_nodes"]) == count for number in range(self.partitions))

    def joined(self, name):
        """A further data folder of the ledger; its node is not started."""
        node = Node(self, name)
        node.folder.mkdir(mode=0o700)
        shutil.copy(self.node.folder / "counterfoil.toml", node.folder / "counterfoil.toml")
        return node

    def stop_nodes(self):
        for node in self.nodes:
            node.stop()

    def _sample(self):
        while not self._sampling.wait(0.25):
            for node in self.nodes:
                node.sample()

    def partition_of(self, number):
        """Of a workspace, by its number: docs/formats.md."""
        return number % 1024 % self.partitions

    def acknowledges(self, moment):
        """When the last of the partitions with workspaces had its first acknowledgement since then; None until all had one."""
        first = {}
        for when, number in self.load.since(moment):
            first.setdefault(self.partition_of(number), when)
        # Numbers count from 1: there is a workspace in each of up to four partitions.
        return max(first.values()) if len(first) == min(self.partitions, len(self.workspaces)) else None

    def heal_within(self, bound, count=50):
        """From now on nothing is broken; acknowledgements must come again within `bound` seconds, in every partition."""
        healed = time.monotonic()
        resumed = wait_for("acknowledgements in every partition", lambda: self.acknowledges(healed), bound)
        self.resumed = max(self.resumed or 0.0, resumed - healed)
        self.load.wait_for(count, 30)

    def silent_between(self, begin, end, what, partitions=None):
        """No acknowledgement came between these times, in these partitions or in any."""
        count = sum(1 for when, number in self.load.since(begin)
                    if begin < when < end and (partitions is None or self.partition_of(number) in partitions))
        if count:
            self.problems.append(checker.Problem("K6", f"{count} acknowledgements came while {what}"))

    def settle(self):
        """Stops the clients, reads everything back and checks. The nodes still run."""
        if self.settled:
            return
        self.settled = True
        self.load.stop()
        try:
            listings = self._views()
        except Broken as broken:
            self.problems.append(checker.Problem("K5", str(broken)))
            listings = []
        found, self.folded = checker.check(self.cluster.read(self.topic), self.load.answers, listings)
        self.problems += found

    def finish(self):
        """Everything that does not fit: [Problem]."""
        self.settle()
        self._limits()
        for node in self.nodes:
            if node.process is not None and not node.alive():
                self.problems.append(checker.Problem("K7", f"{node.name} is gone: {node.said()}"))
            node.stop()
            if node.unexpected:
                self.problems.append(checker.Problem("K7", f"{node.name} {node.unexpected}"))
        return self.problems

    def _views(self):
        """K5: what each node lists, its own verification and a rebuilt view. The log is read later: it holds at least as much."""
        last = {}
        for answer in self.load.answers:
            if answer.seq >= 0:
                last[answer.number] = max(last.get(answer.number, 0), answer.seq)
        listings = []
        for node in self.nodes:
            if not node.alive():
                continue
            for number, workspace in enumerate(self.workspaces, 1):
                if number in last:
                    listings.append(node.listing(workspace, number, last[number], self.tokens[node.name]))
            verified = run(self.binary, "verify", "--data", node.folder, "--json", "--against", "log,views", check=False)
            if verified.returncode != 0:
                self.problems.append(checker.Problem("K5", f"{node.name} does not verify: {(verified.stdout + verified.stderr)[-400:]}"))
            rebuilt = self._rebuilt(node)
            if rebuilt.returncode != 0:
                self.problems.append(checker.Problem("K5", f"{node.name}: a rebuilt view differs: {(rebuilt.stdout + rebuilt.stderr)[-400:]}"))
        return listings

    def _rebuilt(self, node):
        """Status 3: the node wrote on meanwhile, such as an entry about what was just listed, so that nothing could be compared."""
        for _ in range(10):
            done = run(self.binary, "rebuild", "--check", "--data", node.folder, "--json", check=False)
            if done.returncode != 3:
                break
        return done

    def _limits(self):
        """K7. A lane that is made anew lives beside the old one for a while: five threads each, and as many connections as brokers."""
        bounds = {"threads": 100, "descriptors": 200, "megabytes": 400}
        for node in self.nodes:
            for key, more in bounds.items():
                if node.first and node.worst[key] > node.first[key] + more:
                    self.problems.append(checker.Problem("K7", f"{node.name} took {node.worst[key]} {key}, {node.first[key]} at its start"))

    def close(self):
        self._sampling.set()
        if self.load is not None:
            self.load.stopping.set()
            self.load.giving_up.set()
        for node in self.nodes:
            node.kill()

    def summary(self):
        load, folded = self.load, self.folded
        ids = {answer.id for answer in load.answers if answer.seq >= 0}
        voids = sum(len(partition.voids) for partition in folded)
        terms = sum(len(partition.claims) for partition in folded)
        most = max(load.refused.items(), key=lambda item: item[1], default=("", 0))
        parts = [f"{len(ids)} acknowledged", f"{len(ids & load.retried)} after asking again", f"{voids} void", f"{terms} claims",
                 f"longest stall {load.stalls():.1f} s"]
        if self.resumed is not None:
            parts.append(f"went on {self.resumed:.1f} s after the fault's end")
        if most[1]:
            parts.append(f"most frequent other answer {most[0]} ({most[1]})")
        return ", ".join(parts + self.notes)
