"""Plays rows of the fault table against a real cluster and prints a line for each: ops/kafka/faults calls this."""
import argparse
import atexit
import json
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
import unittest

import faults
import stage as stages
from checker import Problem

KINDS = {
    "plain": {},
    "tmpfs": {},
    "forgetful": {"settings": ["producer.id.expiration.ms=3000", "producer.id.expiration.check.interval.ms=1000"], "forgets_after": 3},
}
TMPFS_MEGABYTES = 160


class Clusters:
    """One at a time: three brokers, a node and its clients are what the machine has room for."""

    def __init__(self, folder):
        self.folder, self.kind, self.cluster = folder, None, None

    def of(self, kind):
        if self.kind != kind:
            self.stop()
            self.cluster = stages.Cluster(self.folder / f"kafka-{kind}", **KINDS[kind])
            self.kind = kind
            if kind == "tmpfs":
                self.cluster.onto_tmpfs(TMPFS_MEGABYTES)
        self.cluster.heal()
        return self.cluster

    def stop(self):
        if self.cluster is not None:
            self.cluster.stop()
        self.cluster = self.kind = None


def play(number, clusters, options):
    """(verdict, text): passed, failed or not run."""
    fault, kind, _ = faults.ROWS[number]
    stage = None
    try:
        cluster = clusters.of(kind)
        stage = stages.Stage(cluster, clusters.folder / f"row-{number}", options.binary, options.seed * 100 + number, options.short,
                             options.partitions or (3 if number in faults.OF_SEVERAL_PARTITIONS else 1))
        stage.begin(options.clients, options.rate)
        try:
            fault(stage)
        except stages.Broken as broken:
            # What was promised until then is held against the log all the same.
            stage.problems.append(Problem("K6", str(broken)))
            stage.load.stop(5)
        problems = stage.finish()
        if not problems:
            return "passed", stage.summary()
        shown = "; ".join(str(problem) for problem in sorted(problems, key=lambda problem: problem.invariant)[:5])
        return "failed", f"{len(problems)} problems: {shown}. {stage.summary()}"
    except stages.NotRun as why:
        return "not run", str(why)
    except Exception as error:  # whatever it was, the row did not go as it must, and the others still have their turn
        text = str(error) if isinstance(error, stages.Broken) else traceback.format_exc()
        more = f" [{stage.summary()}; node: {stage.node.said()}]" if stage is not None and stage.load is not None else ""
        return "failed", text + more
    finally:
        if stage is not None:
            stage.close()


def report(cases):
    """In the form of GoogleTest, where one is asked for: ops/test counts each row, and lists what was not run with its reason."""
    wanted = os.environ.get("GTEST_OUTPUT", "")
    if not wanted.startswith("json:") or not wanted.endswith("/"):
        return
    results = {"passed": {"result": "COMPLETED"}, "not run": {"result": "SKIPPED"}}
    suite = [{"name": name, "status": "RUN", **results.get(verdict, {"result": "COMPLETED", "failures": [{"failure": text}]})}
             for name, verdict, text in cases]
    pathlib.Path(wanted[5:], "faults.json").write_text(json.dumps({"testsuites": [{"name": "KafkaFaults", "testsuite": suite}]}))


def the_checker_itself():
    """A checker that is silent about everything would find nothing here either."""
    tests = unittest.defaultTestLoader.discover(str(pathlib.Path(__file__).parent), "*_test.py")
    outcome = unittest.TextTestRunner(stream=sys.stdout, verbosity=0).run(tests)
    return ("passed", f"{outcome.testsRun} tests") if outcome.wasSuccessful() and outcome.testsRun else ("failed", "see above")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", type=pathlib.Path, required=True)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 1_000_000))
    parser.add_argument("--rows", default="")
    parser.add_argument("--long", dest="short", action="store_false")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rate", type=int, default=400)
    parser.add_argument("--partitions", type=int)
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    rows = [int(row) for row in options.rows.split(",")] if options.rows else [row for row, of in faults.ROWS.items() if of[2] or not options.short]
    unknown = [row for row in rows if row not in faults.ROWS]
    if unknown:
        parser.error(f"there is no row {unknown[0]}")
    # Rows of one kind of cluster behind each other: it is started once.
    rows.sort(key=lambda row: (list(KINDS).index(faults.ROWS[row][1]), row))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="counterfoil-faults-"))
    clusters = Clusters(folder)

    def leave():
        clusters.stop()
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(leave)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(f"seed {options.seed}, {'short' if options.short else 'long'}, {options.rate} commands a second", flush=True)
    cases = [("Checker", *the_checker_itself())]
    for row in rows:
        began = time.monotonic()
        verdict, text = play(row, clusters, options)
        name = "Row" + str(row) + faults.ROWS[row][0].__name__.title().replace("_", "")
        if verdict == "not run":
            # As GoogleTest says it, for ops/test.
            print(f"row {row}: Skipped\n{text}\n[  SKIPPED ] KafkaFaults.{name} (0 ms)")
        print(f"row {row} {faults.ROWS[row][0].__name__.replace('_', ' ')}: {verdict}, seed {options.seed}, {time.monotonic() - began:.0f} s: {text}",
              flush=True)
        cases.append((name, verdict, f"seed {options.seed}: {text}"))
        report(cases)
    verdicts = [case[1] for case in cases]
    print(f"{verdicts.count('passed')} passed, {verdicts.count('failed')} failed, {verdicts.count('not run')} not run")
    if options.keep:
        print(f"kept in {folder}")
    return 1 if "failed" in verdicts else 0


if __name__ == "__main__":
    sys.exit(main())
