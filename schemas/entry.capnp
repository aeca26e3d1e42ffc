@0xe3c86b0f7d914a25;
# The entry: what is hashed, chained and never changed again.

using Cxx = import "/capnp/c++.capnp";
using import "annotations.capnp".class;
using import "annotations.capnp".ledger;
using Common = import "principal.capnp";
using EventFile = import "event.capnp";
$Cxx.namespace("counterfoil::schema");

struct Commitment {
  path @0 :Text $class(clear);     # RFC 6901 pointer of the field
  digest @1 :Data $class(clear);   # SHA-256 of the disclosure, 32 bytes
}

struct Redaction {
  path @0 :Text $class(clear);
  rule @1 :Text $class(clear);     # why something was taken out or cut
}

struct Entry {
  version @0 :UInt16 $class(clear) $ledger;
  workspace @1 :UInt64 $class(clear) $ledger;
  seq @2 :UInt64 $class(clear) $ledger;
  previous @3 :Data $class(clear) $ledger;
  id @4 :Data $class(clear) $ledger;
  recordedAt @5 :Int64 $class(clear) $ledger;
  occurredAt @6 :Int64 $class(clear);
  source @7 :Text $class(id) $ledger;
  producer @8 :Text $class(id);
  producerSeq @9 :UInt64 $class(clear);
  actor @10 :Common.Principal $class(pseudonym);
  run @11 :Text $class(id);
  host @12 :Text $class(id);
  sandbox @13 :Text $class(id);
  correlation @14 :Text $class(id);
  traceparent @15 :Text $class(id);
  nonce @16 :Data $class(clear) $ledger;
  commitments @17 :List(Commitment) $class(clear) $ledger;
  redactions @18 :List(Redaction) $class(clear) $ledger;
  event @19 :EventFile.Event $class(clear);
}
