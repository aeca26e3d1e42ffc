"""The checker against logs made by hand: it must be silent about a whole one, and must name what is wrong with every other."""
import unittest

import checker
from checker import CLAIM, ENTRY, GENESIS, NOTHING, TICK, Answer, Header, Listed, Record


def leaf(text):
    return text.encode().ljust(32, b".")


class Log:
    """Writes records the way honest nodes do."""

    def __init__(self):
        self.records = []
        self.term = self.pseq = 0
        self.heads = {}
        self.node = 1
        self.put(GENESIS, term=0)

    def put(self, kind, **changes):
        fields = dict(kind=kind, version=1, level=1, term=self.term, pseq=self.pseq, node=self.node, incarnation=self.node, workspace=0,
                      seq=0, previous=NOTHING, leaf=NOTHING)
        counts = changes.pop("counts", True)
        value = changes.pop("value", b"")
        fields.update(changes)
        self.records.append(Record(len(self.records), [checker.encode(Header(**fields))], value))
        if counts:
            self.pseq += 1
        return self

    def claim(self, node=1):
        self.node = node
        self.put(CLAIM, term=self.term + 1)
        self.term += 1
        return self

    def entry(self, name, workspace=7, **changes):
        size, last = self.heads.get(workspace, (0, NOTHING))
        self.put(ENTRY, workspace=workspace, **{"seq": size, "previous": last, "leaf": leaf(name), **changes})
        if "counts" not in changes:
            self.heads[workspace] = (size + 1, leaf(name))
        return self


def ack(id, seq, name, workspace=7, **more):
    return Answer(id, 201, workspace, seq, leaf(name).hex(), **more)


def whole():
    return Log().claim().entry("a").entry("b").put(TICK).entry("c", 9).entry("d")


class CheckerTest(unittest.TestCase):
    def found(self, log, answers=(), listings=()):
        problems, _ = checker.check([log.records], list(answers), list(listings))
        return problems

    def expect(self, problems, invariant, text):
        self.assertEqual([problem.invariant for problem in problems], [invariant], [str(problem) for problem in problems])
        self.assertIn(text, str(problems[0]))

    def test_a_whole_log_and_true_answers_are_silent(self):
        answers = [ack("1", 0, "a"), Answer("2", 503), Answer("2", 0), ack("2", 1, "b"), ack("2", 1, "b", replayed=True), ack("3", 0, "c", 9)]
        listing = [Listed(7, 0, leaf("a").hex(), "1"), Listed(7, 1, leaf("b").hex(), "2"), Listed(7, 2, leaf("d").hex(), "4")]
        self.assertEqual(self.found(whole(), answers, [listing]), [])

    def test_void_records_change_nothing(self):
        log = whole()
        log.put(ENTRY, workspace=7, seq=3, previous=leaf("d"), leaf=leaf("old"), term=0, counts=False)
        log.put(ENTRY, workspace=7, seq=3, previous=leaf("d"), leaf=leaf("gap"), pseq=99, counts=False)
        log.put(CLAIM, term=5, counts=False).put(GENESIS, term=0, counts=False).entry("e")
        problems, folded = checker.check([log.records], [ack("5", 3, "e")])
        self.assertEqual(problems, [])
        self.assertEqual(len(folded[0].voids), 4)
        self.assertEqual(folded[0].heads[7], (4, leaf("e")))

    def test_an_acknowledged_entry_that_is_missing(self):
        self.expect(self.found(whole(), [ack("5", 3, "lost")]), "K1", "is not in the log")

    def test_an_acknowledged_entry_whose_place_another_has(self):
        self.expect(self.found(whole(), [ack("5", 2, "lost")]), "K1", "another entry is in its place")

    def test_an_acknowledged_entry_at_another_place(self):
        self.expect(self.found(whole(), [ack("5", 1, "d")]), "K1", "is entry 2 of workspace 7")

    def test_an_acknowledged_entry_in_another_workspace(self):
        self.expect(self.found(whole(), [ack("5", 0, "c", 7)]), "K1", "is entry 0 of workspace 9")

    def test_an_acknowledged_entry_that_is_there_twice(self):
        self.expect(self.found(whole().entry("a"), [ack("1", 0, "a")]), "K1", "2 times")

    def test_a_forked_chain(self):
        log = whole().put(ENTRY, workspace=7, seq=2, previous=leaf("b"), leaf=leaf("fork"), counts=False)
        self.expect(self.found(log), "K2", "forks")

    def test_a_gap_in_a_chain(self):
        log = whole().put(ENTRY, workspace=7, seq=5, previous=leaf("d"), leaf=leaf("far"), counts=False)
        self.expect(self.found(log), "K2", "the chain has 3")

    def test_two_requests_acknowledged_as_one_entry(self):
        problems = self.found(whole(), [ack("1", 0, "a"), ack("2", 0, "a")])
        self.expect(problems, "K2", "were both acknowledged as entry 0")

    def test_an_acknowledgement_behind_a_foreign_claim(self):
        log = whole()
        term, pseq = log.term, log.pseq
        log.claim(node=2).put(ENTRY, term=term, pseq=pseq, node=1, incarnation=1, workspace=7, seq=3, previous=leaf("d"), leaf=leaf("late"), counts=False)
        self.expect(self.found(log, [ack("5", 3, "late")]), "K3", "behind the claim of term 2")

    def test_an_acknowledgement_by_a_node_that_did_not_write_it(self):
        log = Log()
        log.put(CLAIM, term=1, value=claim_value("north"))
        log.term = 1
        log.entry("a")
        self.assertEqual(self.found(log, [ack("1", 0, "a", node="north"), ack("1", 0, "a", node="south", replayed=True)]), [])
        self.expect(self.found(log, [ack("1", 0, "a", node="south")]), "K3", "written by north")

    def test_a_void_record_that_was_acknowledged(self):
        log = whole().put(ENTRY, workspace=7, seq=3, previous=leaf("d"), leaf=leaf("x"), pseq=99, counts=False)
        self.expect(self.found(log, [ack("5", 3, "x")]), "K1", "is void")

    def test_a_void_record_that_is_listed(self):
        log = whole().put(ENTRY, workspace=9, seq=1, previous=leaf("c"), leaf=leaf("x"), pseq=99, counts=False)
        listing = [Listed(9, 0, leaf("c").hex(), "3"), Listed(9, 1, leaf("x").hex(), "5")]
        self.expect(self.found(log, [], [listing]), "K5", "2 entries are listed, 1 count")

    def test_an_acknowledged_entry_that_is_not_listed(self):
        problems = self.found(whole(), [ack("4", 2, "d")], [[Listed(7, 0, leaf("a").hex(), "1"), Listed(7, 1, leaf("b").hex(), "2")]])
        self.expect(problems, "K5", "2 entries are listed, 3 count in the log, 3 are known")

    def test_an_entry_that_the_listing_leaves_out(self):
        problems = self.found(whole(), [], [[Listed(7, 0, leaf("a").hex(), "1"), Listed(7, 2, leaf("d").hex(), "4")]])
        self.expect(problems, "K5", "2 entries are listed")

    def test_an_entry_that_is_listed_with_another_hash(self):
        self.expect(self.found(whole(), [], [[Listed(9, 0, leaf("z").hex(), "3")]]), "K5", "another hash")

    def test_a_request_with_two_answers(self):
        self.expect(self.found(whole(), [ack("1", 0, "a"), ack("1", 1, "b")]), "K4", "answered twice")

    def test_a_request_without_an_answer(self):
        self.expect(self.found(whole(), [Answer("1", 503), Answer("1", 0)]), "K4", "never got an answer")

    def test_a_request_with_two_entries(self):
        listing = [Listed(7, 0, leaf("a").hex(), "1"), Listed(7, 1, leaf("b").hex(), "1"), Listed(7, 2, leaf("d").hex(), "4")]
        self.expect(self.found(whole(), [], [listing]), "K4", "has 2 entries")

    def test_a_request_listed_elsewhere_than_acknowledged(self):
        listing = [Listed(9, 0, leaf("c").hex(), "1")]
        self.expect(self.found(whole(), [ack("1", 0, "a")], [listing]), "K4", "listed as entry 0")

    def test_a_missing_offset(self):
        log = whole()
        del log.records[3]
        self.expect(self.found(log), "K2", "offset 3 is missing")

    def test_a_record_of_a_stranger(self):
        log = whole()
        log.records.append(Record(len(log.records), []))
        self.expect(self.found(log), "K2", "no header")

    def test_a_log_without_its_genesis(self):
        log = whole()
        log.records = [Record(record.offset - 1, record.headers) for record in log.records[1:]]
        self.expect(self.found(log), "K2", "not a genesis")


def claim_value(name):
    """Claim { node = name }: one data word, two pointers; the text behind them."""
    text = name.encode() + b"\0"
    words = [(0 << 2) | (1 << 32) | (2 << 48), 1, (1 << 2) | 1 | (2 << 32) | (len(text) << 35), 0]
    return b"".join(word.to_bytes(8, "little") for word in words) + text.ljust(-(-len(text) // 8) * 8, b"\0")


if __name__ == "__main__":
    unittest.main()
