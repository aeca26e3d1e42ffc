"""What a log may hold, and what was promised about it: docs/formats.md (Record) written anew, without a line of the ledger's own code.

`check` takes what is in each partition and what clients were told, and returns what does not fit. The invariants:
  K1  what was acknowledged is in the log exactly once as valid, at the acknowledged place, with the acknowledged hash
  K2  each workspace is one chain: no gap, no fork
  K3  no node acknowledges a record that it did not write, or one that a foreign claim made void
  K4  a request has one answer, however often it was sent: one entry of its id
  K5  what a node lists is what counts in the log
  K6  the record goes on within the bound of the row     (rows.py)
  K7  nodes stay within their memory, threads, descriptors (node.py)
"""
import collections
import dataclasses
import struct

GENESIS, CLAIM, ENTRY, TICK, RESERVED, KEYS, EPOCH = range(1, 8)
HEADER = struct.Struct("<BBHQQQQQQ32s32s")
NOTHING = bytes(32)

Header = collections.namedtuple("Header", "kind version level term pseq node incarnation workspace seq previous leaf")


@dataclasses.dataclass
class Record:
    offset: int
    headers: list  # values of the headers named `cf`
    value: bytes = b""


@dataclasses.dataclass
class Answer:
    """One answer that a client was given: `seq` and `leaf` are set if it is an acknowledgement."""

    id: str
    status: int  # 0: none came
    number: int = -1
    seq: int = -1
    leaf: str = ""
    replayed: bool = False
    node: str = ""  # that answered, if it says so


@dataclasses.dataclass
class Listed:
    """One entry as a node shows it."""

    number: int
    seq: int
    leaf: str
    id: str


@dataclasses.dataclass
class Problem:
    invariant: str
    text: str

    def __str__(self):
        return f"{self.invariant}: {self.text}"


class Damage(Exception):
    pass


def encode(header):
    return HEADER.pack(*header)


def decode(record):
    if not record.headers:
        raise Damage(f"offset {record.offset}: the record has no header of a ledger")
    raw = record.headers[-1]
    if len(raw) != HEADER.size or raw[1] != 1:
        raise Damage(f"offset {record.offset}: the header is not of this version")
    return Header(*HEADER.unpack(raw))


def claimants_name(value):
    """The node's name in a claim: Claim { node :Text; url :Text; level :UInt16 }, canonical Cap'n Proto, one segment."""

    def word(at):
        return struct.unpack_from("<Q", value, at * 8)[0] if at * 8 + 8 <= len(value) else 0

    root = word(0)
    if root & 3 != 0 or root >> 48 == 0:
        return ""
    at = 1 + ((root >> 2) & 0x3FFFFFFF) + ((root >> 32) & 0xFFFF)  # the first pointer
    text = word(at)
    if text & 3 != 1:
        return ""
    start = (at + 1 + ((text >> 2) & 0x3FFFFFFF)) * 8
    return value[start : start + max(0, (text >> 35) - 1)].decode("utf-8", "replace")


class Partition:
    """The fold of one partition, by header and offset alone."""

    def __init__(self, number):
        self.number = number
        self.next = 0
        self.term = 0
        self.pseq = 0
        self.level = 0
        self.heads = {}  # workspace -> (size, last leaf)
        self.valid = []  # (offset, Header) of entries
        self.voids = []  # (offset, Header)
        self.claims = []  # (offset, Header, name), valid ones
        self.problems = []

    def problem(self, invariant, offset, text):
        self.problems.append(Problem(invariant, f"partition {self.number}, offset {offset}: {text}"))

    def counts(self, offset, header):
        free = header.seq == 0 and header.previous == NOTHING and header.leaf == NOTHING
        if offset == 0:
            if header.kind != GENESIS or header.term or header.pseq or not free:
                raise Damage("offset 0: not a genesis")
            return True
        if header.kind == GENESIS:
            return False
        if header.kind == CLAIM:
            return header.term == self.term + 1 and header.pseq == self.pseq and header.level >= self.level and free
        if self.term == 0 or header.term != self.term or header.pseq != self.pseq:
            return False
        if header.kind in (TICK, KEYS, EPOCH):
            return free
        if header.kind != ENTRY:
            raise Damage(f"offset {offset}: kind {header.kind} is not known and in turn")
        size, last = self.heads.get(header.workspace, (0, NOTHING))
        if header.seq == size and header.previous == last:
            return True
        # The one writer of this term gave it the next running number: it held this for the next entry of the chain.
        self.problem("K2", offset, f"workspace {header.workspace} forks: entry {header.seq} was written in turn, the chain has {size}")
        return False

    def take(self, record):
        if record.offset != self.next:
            raise Damage(f"offset {self.next} is missing, the next record is at {record.offset}")
        header = decode(record)
        self.next += 1
        if not self.counts(record.offset, header):
            self.voids.append((record.offset, header))
            return
        self.pseq += 1
        if header.kind == CLAIM:
            self.term, self.level = header.term, header.level
            self.claims.append((record.offset, header, claimants_name(record.value)))
        elif header.kind == ENTRY:
            self.heads[header.workspace] = (header.seq + 1, header.leaf)
            self.valid.append((record.offset, header))


def fold(partitions):
    """[[Record]] -> [Partition]; what is wrong with the log itself is in their `problems`."""
    result = []
    for number, records in enumerate(partitions):
        partition = Partition(number)
        try:
            for record in records:
                partition.take(record)
        except Damage as damage:
            partition.problem("K2", partition.next, str(damage))
        result.append(partition)
    return result


class _Places:
    """Where each leaf is."""

    def __init__(self, folded):
        self.chains = {}  # workspace -> [Header]
        self.valid = collections.defaultdict(list)  # leaf -> [(partition, offset, Header)]
        self.void = collections.defaultdict(list)
        self.writers = {}  # (node, incarnation) -> name
        for partition in folded:
            for _, header, name in partition.claims:
                self.writers[(header.node, header.incarnation)] = name
            for offset, header in partition.valid:
                self.chains.setdefault(header.workspace, []).append(header)
                self.valid[header.leaf].append((partition, offset, header))
            for offset, header in partition.voids:
                if header.kind == ENTRY:
                    self.void[header.leaf].append((partition, offset, header))


def _check_answer(answer, places, problems):
    leaf = bytes.fromhex(answer.leaf)
    what = f"{answer.id}, acknowledged as entry {answer.seq} of workspace {answer.number},"
    found = places.valid.get(leaf, [])
    at = [place for place in found if place[2].workspace == answer.number and place[2].seq == answer.seq]
    if len(at) == 1 and len(found) == 1:
        header = at[0][2]
        writer = places.writers.get((header.node, header.incarnation), "")
        if answer.node and writer and not answer.replayed and writer != answer.node:
            problems.append(Problem("K3", f"{what} was acknowledged by {answer.node} and written by {writer}"))
        return
    if len(found) > 1:
        problems.append(Problem("K1", f"{what} is in the log {len(found)} times as valid"))
        return
    if found:
        header = found[0][2]
        problems.append(Problem("K1", f"{what} is entry {header.seq} of workspace {header.workspace} in the log"))
        return
    for partition, offset, header in places.void.get(leaf, []):
        foreign = [claim for claim in partition.claims if claim[0] < offset and claim[1].term > header.term]
        if foreign:
            claim = foreign[0]
            problems.append(Problem("K3", f"{what} is void: it came at offset {offset}, behind the claim of term {claim[1].term} at {claim[0]}"))
        else:
            problems.append(Problem("K1", f"{what} is void, at offset {offset}"))
        return
    chain = places.chains.get(answer.number, [])
    other = ", another entry is in its place" if 0 <= answer.seq < len(chain) else ""
    problems.append(Problem("K1", f"{what} is not in the log{other}"))


def check_answers(answers, places):
    problems = []
    acknowledged = {}  # id -> (number, seq, leaf)
    asked = {}
    for answer in answers:
        asked.setdefault(answer.id, []).append(answer)
        if answer.seq < 0:
            continue
        place = (answer.number, answer.seq, answer.leaf)
        first = acknowledged.setdefault(answer.id, place)
        if first != place:
            problems.append(Problem("K4", f"{answer.id} was answered twice, as entry {first[1]} and as entry {answer.seq}"))
        _check_answer(answer, places, problems)
    for id, all in asked.items():
        if id not in acknowledged:
            problems.append(Problem("K4", f"{id} never got an answer; the last of {len(all)} was {all[-1].status}"))
    taken = {}
    for id, place in acknowledged.items():
        other = taken.setdefault(place[:2], id)
        if other != id:
            problems.append(Problem("K2", f"{other} and {id} were both acknowledged as entry {place[1]} of workspace {place[0]}"))
    return problems, acknowledged


def check_listing(listing, places, acknowledged):
    """What one node shows of one workspace, against the log and against what was acknowledged."""
    problems = []
    ids = collections.Counter(listed.id for listed in listing)
    problems += [Problem("K4", f"{id} has {count} entries") for id, count in ids.items() if count > 1]
    numbers = {listed.number for listed in listing}
    for number in numbers:
        chain = places.chains.get(number, [])
        shown = sorted((listed for listed in listing if listed.number == number), key=lambda listed: listed.seq)
        # The log is read after the listing was taken, and that it was taken is recorded too; but what was acknowledged must be there.
        least = 1 + max((place[1] for place in acknowledged.values() if place[0] == number), default=-1)
        if [listed.seq for listed in shown] != list(range(len(shown))) or not least <= len(shown) <= len(chain):
            problems.append(Problem("K5", f"workspace {number}: {len(shown)} entries are listed, {len(chain)} count in the log, {least} are known to be there"))
            continue
        for listed, header in zip(shown, chain):
            if bytes.fromhex(listed.leaf) != header.leaf:
                problems.append(Problem("K5", f"workspace {number}: entry {listed.seq} is listed with another hash than the log's"))
                break
        for listed in shown:
            place = acknowledged.get(listed.id)
            if place is not None and place[:2] != (number, listed.seq):
                problems.append(Problem("K4", f"{listed.id} is listed as entry {listed.seq} and was acknowledged as entry {place[1]}"))
    return problems


def check(partitions, answers, listings=()):
    """[[Record]], [Answer], [[Listed]] (one a node and workspace) -> ([Problem], [Partition])."""
    folded = fold(partitions)
    places = _Places(folded)
    problems = [problem for partition in folded for problem in partition.problems]
    found, acknowledged = check_answers(answers, places)
    problems += found
    for listing in listings:
        problems += check_listing(listing, places, acknowledged)
    return problems, folded
