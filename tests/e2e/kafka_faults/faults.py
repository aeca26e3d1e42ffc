"""The rows: what is broken, and what must hold. Each plays on a stage that works and leaves it healed; see docs/kafka-faults.md.

A row may add to `stage.problems`; what clients were told is held against the log afterwards, in every row alike.
"""
import os
import pathlib
import shutil
import signal
import subprocess
import time

import kafka

from checker import Problem, check
from stage import TOPIC_SETTINGS, Broken, Load, NotRun, run, wait_for

SESSION = 3.0  # broker.session.timeout.ms of ops/kafka/cluster


def needs(program, package):
    if shutil.which(program) is None:
        raise NotRun(f"there is no {program} (package {package})")
    if os.geteuid() != 0:
        raise NotRun(f"{program} takes root")


def kill_leader(stage):
    """1: acknowledgements stop until another broker leads, and come again before the dead one does."""
    leader = stage.cluster.leader(stage.topic)
    stage.cluster.kill(leader)
    stage.heal_within(SESSION + 15)  # the brokers that are left are all that is needed
    time.sleep(2 if stage.short else 20)
    stage.cluster.restart(leader)


def leader_moves(stage):
    """2: the leadership of every partition goes round, ten times."""
    numbers = list(range(stage.partitions))
    for _ in range(4 if stage.short else 10):
        turned = {}
        for number in numbers:
            replicas = list(stage.cluster.partition(stage.topic, number)["replica_nodes"])
            turned[kafka.TopicPartition(stage.topic, number)] = replicas[1:] + replicas[:1]
        stage.cluster.ask(lambda admin: admin.alter_partition_reassignments(turned))

        def led():
            try:
                stage.cluster.ask(lambda admin: admin.elect_leaders(0, {stage.topic: numbers}), 0)
            except Broken:  # a replica that is to lead is not in step yet
                return False
            return all(stage.cluster.leader(stage.topic, place.partition) == order[0] for place, order in turned.items())

        wait_for("the next leader", led, 20, 0.2)
        stage.load.wait_for(50, 15)
        time.sleep(1)
    stage.heal_within(10)


def two_of_three_down(stage):
    """3: nothing is acknowledged, nothing acknowledged is lost, and it goes on by itself."""
    writer = stage.writer()
    leader = stage.cluster.leader(stage.topic)
    others = [id for id in stage.cluster.ids if id != leader]
    down = [leader, others[0]] if stage.dice.random() < 0.5 else others
    stage.cluster.kill(*down)
    dead = time.monotonic()
    time.sleep(6 if stage.short else 15)
    # Load balancers go by it. A node that wrote has appends that wait; without a coordinator neither is told to write.
    wait_for("a node that wrote and calls itself not ready", lambda: not writer.ready()[0], 30, 0.2)
    # Whatever was on its way when they died may still be answered.
    stage.silent_between(dead + 1, time.monotonic(), "two of three brokers were down")
    stage.notes.append(f"the node that wrote then: {writer.ready()[1][:150]}")
    stage.cluster.restart(*down)
    stage.heal_within(30)
    wait_for("nodes that call themselves ready again", lambda: all(node.ready()[0] for node in stage.nodes), 30, 0.2)


def cold_bursts(stage):
    """4: the brokers refuse for a moment, just when a burst begins; what is refused must not be taken for written."""
    _bursts(stage, 5 if stage.short else 20, 0)


def paused_leader(stage):
    """5: the leader is stopped for a while and goes on as if nothing had been."""
    for seconds in (5,) if stage.short else (5, 20):
        leader = stage.cluster.leader(stage.topic)
        stage.cluster.pause(leader)
        time.sleep(seconds)
        stage.cluster.resume(leader)
        stage.heal_within(15)
        stage.load.wait_for(100, 30)


def paused_node(stage):
    """6: the writer is stopped, another node claims, and the first one wakes up in the middle of its sentence."""
    for _ in range(2 if stage.short else 4):
        zombie = stage.writer()
        zombie.signal(signal.SIGSTOP)
        stopped = time.monotonic()
        try:
            # Every client has a request in the stopped process's sockets by then; the patient ones will hear what it says to them.
            time.sleep(0.5)
            stage.load.avoid = zombie
            wait_for("the other node's acknowledgements", lambda: stage.acknowledges(stopped + 0.5), stage.claim_within)
            stage.notes.append(f"taken over {time.monotonic() - stopped:.1f} s after the stop")
            time.sleep(max(0.0, stopped + (10 if stage.short else 15) - time.monotonic()))
        finally:
            zombie.signal(signal.SIGCONT)
        stage.load.avoid = None
        stage.heal_within(30)
        stage.load.wait_for(300, 30)


def cut_from_brokers(stage):
    """7: packets of nodes to one broker, then to all, are dropped or refused. A node's packets are known by the group of its process.

    Once all clients are quiet meanwhile: what the node had sent comes right behind the claim, before anything of the new writer's. Its
    place in the order of records is then one that the new writer's might have, and only the term tells both apart."""
    needs("nft", "nftables")
    ends = stage.cluster.ends(stage.topic, stage.partitions)
    all = stage.cluster.ids
    # With both nodes cut off nothing is acknowledged in a partition whose leader they do not reach; with one, the other goes on.
    rules = [("drop", [stage.cluster.leader(stage.topic)], 2, False), ("drop", all, 1, False), ("drop", all, 1, True),
             ("reject with tcp reset", all, 2, False)]
    for verdict, brokers, count, quiet in rules[:3] if stage.short else rules:
        nodes = [stage.writer_of(0)] if count == 1 else stage.nodes
        table = f"counterfoil_faults_{os.getpid()}"
        groups = ", ".join(str(node.gid) for node in nodes)
        hosts = ", ".join(f"127.0.0.{id}" for id in brokers)
        unreached = [number for number in range(stage.partitions) if stage.cluster.leader(stage.topic, number) in brokers]
        text = "\n".join((
            f"table inet {table} {{",
            "  chain out {",
            "    type filter hook output priority 0;",
            f"    meta skgid {{ {groups} }} ip daddr {{ {hosts} }} tcp dport {stage.cluster.port} {verdict}",
            "  }",
            "}",
            ""))
        made = subprocess.run(["nft", "-f", "-"], input=text, capture_output=True, text=True)
        if made.returncode != 0:
            raise NotRun(f"nft does not work here: {made.stderr.strip()[:120]}")
        try:
            cut = time.monotonic()
            if quiet:
                # Everybody has asked it something that it has sent.
                stage.load.avoid = stage.other(nodes[0])
                time.sleep(0.5)
                stage.load.holding.set()
                time.sleep(0.5)
                before = ends()
                wait_for("the other node's claim", lambda: ends() != before, stage.claim_within, 0.01)
                stage.notes.append(f"claimed {time.monotonic() - cut:.1f} s after the cut")
            elif count == 1:
                stage.load.avoid = nodes[0]
                wait_for("the other node's acknowledgements", lambda: stage.acknowledges(cut + 1), stage.claim_within)
            if not quiet:
                time.sleep(5 if stage.short else 15)
            # What was sent before the cut may be answered within it.
            if count == 2:
                stage.silent_between(cut + 1, time.monotonic(), "the nodes were cut off", unreached)
        finally:
            run("nft", "delete", "table", "inet", table)
            if quiet:
                time.sleep(10)  # packets are sent again with ever longer pauses
                stage.load.holding.clear()
            stage.load.avoid = None
        stage.heal_within(30)


def cut_connections(stage):
    """8: the nodes' connections to the brokers break every 0.4 s, so that answers to what was written are lost."""
    needs("ss", "iproute2")
    until = time.monotonic() + (6 if stage.short else 12)
    cuts = 0
    pids = [node.process.pid for node in stage.nodes]
    while time.monotonic() < until:
        seen = run("ss", "-tnpH", "state", "established", "dport", "=", f":{stage.cluster.port}").stdout
        own = [line.split()[2].rsplit(":", 1)[1] for line in seen.splitlines() if any(f"pid={pid}," in line for pid in pids)]
        if own:
            words = " or ".join(f"sport = :{port}" for port in own).split()
            killed = run("ss", "-K", "-tnH", "(", *words, ")", "and", "dport", "=", f":{stage.cluster.port}", check=False)
            cuts += len(killed.stdout.splitlines())
        time.sleep(0.4)
    if cuts == 0:
        raise NotRun("ss -K cuts nothing here (the kernel lacks INET_DIAG_DESTROY)")
    stage.notes.append(f"{cuts} connections cut")
    stage.heal_within(15)


def delays(stage):
    """9: answers come late and out of step."""
    needs("tc", "iproute2")
    made = run("tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "20ms", "20ms", check=False)
    if made.returncode != 0:
        raise NotRun(f"tc has no netem here: {made.stderr.strip().splitlines()[-1][:100]}")
    try:
        time.sleep(15)
    finally:
        run("tc", "qdisc", "del", "dev", "lo", "root")
    stage.heal_within(15)


def full_disk(stage):
    """10: the leader's disk is full, then everybody's. It goes on without the one, not without all, and with all once there is room."""
    folders = {id: stage.cluster.folder / f"n{id}/data" for id in stage.cluster.ids}
    def fill(id):
        with open(folders[id] / "filler", "wb") as file:
            try:
                while True:
                    file.write(b"\0" * (1 << 20))
                    file.flush()
            except OSError:
                pass

    def gone(ids):
        return lambda: not any(id in ids for id in stage.cluster.running())

    leader = stage.cluster.leader(stage.topic)
    fill(leader)
    wait_for("the broker with the full disk ends", gone([leader]), 60)
    stage.heal_within(SESSION + 15)
    (folders[leader] / "filler").unlink()
    stage.cluster.restart(leader)
    if not stage.short:
        for id in stage.cluster.ids:
            fill(id)
        wait_for("the brokers with full disks end", gone(stage.cluster.ids), 60)
        dead = time.monotonic()
        time.sleep(5)
        stage.silent_between(dead + 1, time.monotonic(), "every disk was full")
        for id in stage.cluster.ids:
            (folders[id] / "filler").unlink()
        stage.cluster.restart(*stage.cluster.ids)
        stage.heal_within(30)


def coordinator_moves(stage):
    """11: the broker that leads the topic of the groups' offsets dies."""
    place = stage.cluster.ask(lambda admin: admin.describe_topics(["__consumer_offsets"]))
    leaders = {part["leader_id"] for part in place[0]["partitions"]} if place and place[0].get("partitions") else set()
    leaders = sorted(id for id in leaders if id in stage.cluster.ids)
    if not leaders:
        raise NotRun("this version of the ledger uses no group, so that the cluster has no coordinator")
    coordinator = stage.dice.choice(leaders)
    stage.cluster.kill(coordinator)
    stage.heal_within(SESSION + 20)
    stage.cluster.restart(coordinator)


def nodes_come_and_go(stage):
    """12: every three seconds a node comes or goes, politely or not, the writer as often as the other."""
    away = None
    for turn in range(6 if stage.short else 16):
        if away is None:
            away = stage.dice.choice(stage.nodes)
            stage.load.avoid = away
            if stage.dice.random() < 0.5:
                away.kill()
            else:
                away.stop()
        else:
            away.start()
            stage.load.avoid = away = None
        time.sleep(3)
    if away is not None:
        away.start()
        stage.load.avoid = None
    stage.heal_within(stage.claim_within)


def forgotten_producer(stage):
    """13: the brokers forget a silent producer, and refuse just when its next burst begins."""
    _bursts(stage, 3 if stage.short else 8, stage.cluster.forgets_after + 3)


def _bursts(stage, rounds, silence):
    follower = next(id for id in stage.cluster.ids if id != stage.cluster.leader(stage.topic))
    stage.cluster.kill(follower)
    wait_for("two replicas in step", lambda: stage.in_step(2), 30)
    stage.load.wait_for(1, 20)
    for _ in range(rounds):
        stage.load.resting.set()
        time.sleep(max(0.3, silence))
        stage.cluster.set_topic(stage.topic, **{"min.insync.replicas": 3})
        stage.load.resting.clear()
        time.sleep(0.3 + stage.dice.random() / 2)
        stage.cluster.set_topic(stage.topic, **{"min.insync.replicas": 2})
        stage.load.wait_for(50, 30)
    stage.cluster.restart(follower)
    stage.heal_within(15)


def tampering(stage):
    """14: somebody who may changes the topic's settings, deletes records, makes the topic anew. No node serves what is left; the place is named."""
    stage.settle()  # what was promised is held against the log while it is whole
    stage.cluster.set_topic(stage.topic, **{"retention.ms": 1_000_000_000})
    told = stage.cluster.kafka_admin("check", stage.topic, stage.partitions, 3, TOPIC_SETTINGS, check=False)
    if told.returncode != 1 or "retention.ms" not in told.stdout:
        stage.problems.append(Problem("K6", f"a changed retention is not told: {told.stdout.strip()}"))
    place = kafka.TopicPartition(stage.topic, 0)
    stage.cluster.ask(lambda admin: admin.delete_records({place: 5}))
    said = stage.joined("west").refuses(5)
    if "partition 0, offset 0" not in said or "begins at 5" not in said:
        stage.problems.append(Problem("K6", f"deleted records are refused without their place: {said[-300:]}"))
    cut = lambda: all("log_truncated" in node.ready()[1] for node in stage.nodes)
    wait_for("the running nodes' notice of deleted records", cut, 60, 0.2)
    # Under nodes that run.
    stage.cluster.kafka_admin("delete-topic", stage.topic)
    make = lambda: stage.cluster.kafka_admin("create", stage.topic, stage.partitions, 3, TOPIC_SETTINGS, check=False).returncode == 0
    wait_for("the topic made anew", make, 30, 0.2)
    late = Load(stage.nodes, stage.tokens, stage.workspaces, stage.seed + 1, clients=4).start()
    wait_for("answers about the topic made anew", lambda: late.refused, 60)
    time.sleep(5)
    late.stop(0)
    if late.times:
        stage.problems.append(Problem("K1", f"{len(late.times)} commands were acknowledged into a topic made anew"))
    told = [node.ready() for node in stage.nodes]
    if any(ready for ready, _ in told):
        stage.problems.append(Problem("K6", "a node calls itself ready in a topic made anew"))
    stage.notes.append(f"the running node then: {told[0][1][:150]}")
    stage.stop_nodes()
    stage.node.refuses()


def unclean_election(stage):
    """15: a broker that lacks records of partition 0 is made its leader on purpose. What was acknowledged is lost; node and checker must notice."""
    stage.cluster.set_topic(stage.topic, **{"min.insync.replicas": 1, "unclean.leader.election.enable": "true"})
    leader = stage.cluster.leader(stage.topic)
    behind, witness = [id for id in stage.cluster.ids if id != leader]
    # The witness only votes: with two replicas, the second one out of step, the leader alone has what is acknowledged.
    stage.cluster.ask(lambda admin: admin.alter_partition_reassignments({kafka.TopicPartition(stage.topic, 0): [leader, behind]}))
    wait_for("two replicas", lambda: sorted(stage.cluster.partition(stage.topic)["replica_nodes"]) == sorted([leader, behind]), 30, 0.2)
    stage.cluster.kill(behind)
    wait_for("one replica in step", lambda: stage.cluster.partition(stage.topic)["isr_nodes"] == [leader], 30, 0.2)
    stage.load.wait_for(300, 30)
    writer = stage.writer_of(0)
    stage.cluster.kill(leader)
    stage.cluster.restart(behind)
    wait_for("the writer's refusal", lambda: "log_truncated" in writer.ready()[1], 60, 0.2)
    noticed = time.monotonic()
    time.sleep(3)
    stage.load.stop(0)
    if any(stage.partition_of(number) == 0 for _, number in stage.load.since(noticed)):
        stage.problems.append(Problem("K1", "the node acknowledged behind a truncation that it had noticed"))
    records = stage.cluster.read(stage.topic)
    found, stage.folded = check(records, stage.load.answers)
    lost = [problem for problem in found if problem.invariant == "K1"]
    # The other partitions are whole.
    elsewhere = [answer for answer in stage.load.answers if answer.seq < 0 or stage.partition_of(answer.number) != 0]
    stage.problems += [problem for problem in check(records, elsewhere)[0] if problem.invariant == "K1"]
    stage.notes.append(f"{len(lost)} acknowledged entries lost with the leader, all noticed")
    if not lost:
        stage.problems.append(Problem("K1", "nothing was lost: the election was not unclean, and the row proves nothing"))
    stage.settled = True
    stage.cluster.restart(leader)
    stage.stop_nodes()
    # A process that never saw what is gone reads a shorter log that is whole in itself: only what others kept of it convicts.
    try:
        stage.node.refuses(5, 15)
        stage.notes.append("started again, the node refuses")
    except Broken:
        stage.notes.append("started again, the node serves the shorter log")


def clock_jumps(stage):
    """16: the nodes' clock goes ahead by ten seconds and back again. It refuses to write into the past, and goes on when time is there."""
    library = next((str(path) for path in pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), "")
    if not library:
        raise NotRun("there is no libfaketime (package faketime)")
    offset = stage.folder / "clock"
    offset.write_text("+0\n")
    stage.load.resting.set()
    stage.stop_nodes()
    for node in stage.nodes:
        node.environment = {"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": str(offset), "FAKETIME_NO_CACHE": "1",
                            "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        node.start()
    stage.load.resting.clear()
    stage.load.wait_for(100, stage.claim_within)
    offset.write_text("+10\n")
    stage.load.wait_for(200, 30)
    offset.write_text("+0\n")
    stage.heal_within(25)
    if not any("clock_behind" in answer for answer in stage.load.refused):
        stage.problems.append(Problem("K6", "the clock went back by ten seconds and nobody was told"))


def rolling_restart(stage):
    """17: every broker is restarted, one after the other."""
    for id in stage.cluster.ids:
        stage.cluster.restart(id)
        wait_for("all replicas in step", lambda: stage.in_step(3), 60)
    stage.heal_within(15)


def mixed_levels(stage):
    """18: a node of an older level beside a newer one."""
    raise NotRun("there is one level of the record's format so far; that a lower one may not claim is in the logs' contract suite")


# number -> (what, kind of cluster, whether the short run plays it)
# Of these the nodes share three partitions, unless --partitions says otherwise; of the others there is one.
OF_SEVERAL_PARTITIONS = {1, 6, 12}

ROWS = {
    1: (kill_leader, "plain", True),
    2: (leader_moves, "plain", False),
    3: (two_of_three_down, "plain", True),
    4: (cold_bursts, "plain", False),
    5: (paused_leader, "plain", True),
    6: (paused_node, "plain", False),
    7: (cut_from_brokers, "plain", False),
    8: (cut_connections, "plain", True),
    9: (delays, "plain", False),
    10: (full_disk, "tmpfs", True),
    11: (coordinator_moves, "plain", False),
    12: (nodes_come_and_go, "plain", False),
    13: (forgotten_producer, "forgetful", False),
    14: (tampering, "plain", True),
    15: (unclean_election, "plain", False),
    16: (clock_jumps, "plain", False),
    17: (rolling_restart, "plain", False),
    18: (mixed_levels, "plain", False),
}
