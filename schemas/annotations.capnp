@0xc5f1a7d2b6e04c91;
# What each field of a stored or received structure means to the ledger. The tables of ledger/core/schema_tables are made from these.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("counterfoil::schema");

enum RedactionClass {
  # What happens to a field before its entry is chained (docs/redaction.md).
  clear @0;      # kept: enums, numbers, times, public digests
  id @1;         # kept; must match [A-Za-z0-9][A-Za-z0-9._:@/+-]{0,127}; a secret's shape refuses the request
  scanned @2;    # structured text up to 512 bytes; secrets, e-mail addresses and telephone numbers are replaced
  personal @3;   # free text and addresses: a commitment in the entry, an encrypted disclosure beside it
  pseudonym @4;  # a principal: a human's id becomes a pseudonym, machine ids stay
  secret @5;     # stored as a keyed fingerprint only
  digest @6;     # a caller's digest of something guessable: stored as HMAC under the workspace's digest key
}

enum Subject {
  # Whose key protects a personal field.
  workspace @0;
  actor @1;
  grantee @2;
  decidedBy @3;
  onBehalfOf @4;
}

annotation class @0x8d1f5c3a7e90b241 (field) :RedactionClass;
annotation subject @0x8d1f5c3a7e90b242 (field) :Subject;
annotation address @0x8d1f5c3a7e90b243 (field) :Text;
# A personal field that holds an IP address; the value names the scanned field that takes what is no address.
# The address pseudonym goes to the field of the same name + "Pseudonym".
annotation kind @0x8d1f5c3a7e90b244 (field) :Text;      # the dotted name of an event kind or command
annotation fact @0x8d1f5c3a7e90b245 (field) :Void;      # this kind may be sent as a fact
annotation required @0x8d1f5c3a7e90b246 (field) :Void;  # JSON input without it is refused
annotation requires @0x8d1f5c3a7e90b247 (field) :Text; # the common field (run, host, sandbox) that this kind must have
annotation ledger @0x8d1f5c3a7e90b248 (field) :Void;    # filled by the ledger; JSON input that names it is refused
annotation limit @0x8d1f5c3a7e90b249 (field) :UInt32;   # bytes of a text, where it differs from the limit of its class
