"""Plays rows of the fault table against a real cluster and prints a line for each: ops/kafka/faults calls this."""
import argparse
import atexit
import pathlib
import random
import shutil
import sys
import tempfile
import time
import traceback

import faults
import stage as stages

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
        stage = stages.Stage(cluster, clusters.folder / f"row-{number}", options.binary, options.seed * 100 + number, options.short)
        stage.begin(options.clients, options.rate)
        fault(stage)
        problems = stage.finish()
        if not problems:
            return "passed", stage.summary()
        shown = "; ".join(str(problem) for problem in problems[:5])
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


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", type=pathlib.Path, required=True)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 1_000_000))
    parser.add_argument("--rows", default="")
    parser.add_argument("--long", dest="short", action="store_false")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rate", type=int, default=400)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--cases", type=pathlib.Path)
    options = parser.parse_args()
    rows = [int(row) for row in options.rows.split(",")] if options.rows else [row for row, of in faults.ROWS.items() if of[2] or not options.short]
    rows.sort(key=lambda row: (list(KINDS).index(faults.ROWS[row][1]), row))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="counterfoil-faults-"))
    clusters = Clusters(folder)

    def leave():
        clusters.stop()
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(leave)
    print(f"seed {options.seed}, {'short' if options.short else 'long'}, {options.rate} commands a second", flush=True)
    verdicts, lines = [], []
    for row in rows:
        began = time.monotonic()
        verdict, text = play(row, clusters, options)
        name = faults.ROWS[row][0].__name__.replace("_", " ")
        print(f"row {row:2} {name}: {verdict}, seed {options.seed}, {time.monotonic() - began:.0f} s: {text}", flush=True)
        verdicts.append(verdict)
        status = {"not run": "skipped"}.get(verdict, verdict)
        lines.append("\t".join((f"row {row} {name}", status, " ".join(text.split())[:600])))
        if options.cases:
            options.cases.write_text("\n".join(lines) + "\n")
    print(f"{verdicts.count('passed')} passed, {verdicts.count('failed')} failed, {verdicts.count('not run')} not run")
    if options.keep:
        print(f"kept in {folder}")
    if "failed" in verdicts:
        return 1
    return 0 if "passed" in verdicts else 77


if __name__ == "__main__":
    sys.exit(main())
