"""What a schema cannot say about valid requests, so that they reach the ledger and not only its parser.

Only values that fit the document are changed, and Schemathesis looks at the changed request again before it decides what to expect.
"""

import json
import os
import random
import time
import uuid
from datetime import datetime

import schemathesis
from hypothesis import strategies as st
from schemathesis.core.parameters import ParameterLocation

FOUND = json.loads(os.environ["COUNTERFOIL_FOUND"])  # ids by path parameter, as the demo made them
WAIT_LONG = 20
COMMON = {"id", "kind", "occurredAt", "producer", "producerSeq", "actor", "run", "host", "sandbox", "correlation", "traceparent"}
FACT: dict = {}  # the document's schema, once it is known


def request_id(noise: int) -> str:
    """A UUIDv7 of now: an id from another time is refused, as the interface says."""
    value = (int(time.time() * 1000) << 80) | (7 << 76) | ((noise >> 62 & 0xFFF) << 64) | (2 << 62) | (noise & (2**62 - 1))
    return str(uuid.UUID(int=value))


schemathesis.openapi.format("uuid", st.integers(min_value=0, max_value=2**74 - 1).map(request_id))
# Years that fit 64 bits of nanoseconds, without the first instant of 1970: in the record it means "unknown".
schemathesis.openapi.format(
    "date-time",
    st.datetimes(min_value=datetime(1700, 1, 1), max_value=datetime(2200, 1, 1))
    .filter(lambda moment: moment != datetime(1970, 1, 1))
    .map(lambda moment: moment.isoformat() + "Z"),
)


def fits(case, place: ParameterLocation) -> bool:
    """Whether this part of the request is meant to be valid."""
    return case.meta is not None and not case.meta.is_negative_at(place)


def path_of(case) -> None:
    for name, value in list((case.path_parameters or {}).items()):
        if name == "workspace":
            case.path_parameters[name] = "closing" if case.operation.path.endswith("/close") else "demo"
            continue
        known = FOUND.get(name if name != "id" else case.operation.path.split("/")[-2])
        # One in four stays what it was: things that are not there must be answered too.
        choice = random.Random(repr(value))
        if known and choice.random() < 0.75:
            case.path_parameters[name] = choice.choice(known)


def query_of(case) -> None:
    query = case.query or {}
    query.pop("after", None)  # a cursor is opaque: only a page gives one
    if "from" in query and "to" in query:
        query.pop("to")  # [from, to) must not be empty
    if "text" in query and not any("a" <= c.lower() <= "z" or c.isdigit() for c in str(query["text"])):
        query["text"] = "git"
    case.query = query


def stream_of(case) -> None:
    """From what is recorded: a stream of what is yet to come never ends."""
    if fits(case, ParameterLocation.QUERY) and "Last-Event-ID" not in (case.headers or {}):
        case.query = {**(case.query or {}), "after": 0, "kind": ["lease.*"]}
        if "revocations" in case.operation.path:
            case.query.pop("kind")


def any_value(schema: dict):
    """Something that fits a schema of a fact's field."""
    if "enum" in schema:
        return schema["enum"][0]
    if "$ref" in schema:
        return {"kind": "agent", "id": "fixer"} if schema["$ref"].endswith("PrincipalName") else {"sha256": "ab" * 32}
    if schema.get("format") == "date-time":
        return "2026-03-01T09:30:00Z"
    return {"integer": 7, "boolean": True, "array": ["one"]}.get(schema.get("type"), "thing-1")


def fact_of(body: dict) -> None:
    """The document has one body for all kinds: what the chosen kind does not have goes, what it must have comes."""
    kind = FACT["x-kinds"][body["kind"]]
    for name in list(body):
        # Where a name means different things in different kinds, the body's schema allows any of them.
        if name not in COMMON and (name not in kind["fields"] or name in kind["properties"]):
            del body[name]
    for name in kind["required"]:
        if not body.get(name):
            body[name] = any_value(kind["properties"].get(name, FACT["properties"][name]))


def digits_only(value):
    """1.0 is an integer to JSON Schema; the interface takes only 1."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: digits_only(member) for name, member in value.items()}
    return [digits_only(item) for item in value] if isinstance(value, list) else value


def body_of(case) -> None:
    if not isinstance(case.body, dict):
        return
    body = digits_only(case.body)
    for member in body.values():
        if isinstance(member, dict) and str(member.get("id", "")).startswith("p2:"):
            member["id"] = "alice"  # a pseudonym that an answer showed names nobody: persons are named by their own ids
    if body.get("sourceAddress"):
        body.pop("sourceService", None)  # what is no address takes the service's place
    if "id" in body and "Idempotency-Key" in (case.headers or {}):
        body.pop("id")  # both at once must be alike
    if case.operation.path.endswith("/facts") and body.get("kind") in FACT["x-kinds"]:
        fact_of(body)
    case.body = body


@schemathesis.hook
def before_call(context, case, kwargs):
    if not FACT:
        FACT.update(case.operation.schema.raw_schema["components"]["schemas"]["Fact"])
    wait = (case.query or {}).get("wait")
    if str(wait).isdigit() and WAIT_LONG < int(wait) < 2**53:
        case.query["wait"] = int(wait) % WAIT_LONG  # the answer to a seq that never comes takes 5 s
    if fits(case, ParameterLocation.PATH):
        path_of(case)
    if fits(case, ParameterLocation.QUERY):
        query_of(case)
    if fits(case, ParameterLocation.BODY):
        body_of(case)
    if case.operation.path.endswith("stream"):
        stream_of(case)


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """A view that has not reached the seq that was waited for is the contract's 503, with Retry-After."""
    promised = response is not None and response.status_code == 503 and "wait" in (case.query or {})
    return not (promised and b'"code":"not_ready"' in (response.content or b""))
