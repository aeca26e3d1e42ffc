@0xb1d97e2c60f5483a;
# What the log stores: the sealed entry with its disclosures, and the keys that first appear with it.

using Cxx = import "/capnp/c++.capnp";
using import "annotations.capnp".class;
$Cxx.namespace("counterfoil::schema");

struct WrappedKey {
  keyId @0 :Data $class(clear);        # 16 random bytes
  purpose @1 :UInt8 $class(clear);     # 1 log, 2 subject, 3 directory, 4 fingerprint, 5 digest, 6 state
  generation @2 :UInt64 $class(clear); # log: year * 12 + month - 1
  kek @3 :UInt32 $class(clear);        # version of the key-encryption key
  nonce @4 :Data $class(clear);        # 12 bytes
  sealed @5 :Data $class(clear);       # AES-256-GCM of the key, and for a subject its directory tag
}

struct Record {
  sealed @0 :Data $class(clear);       # nonce || AES-256-GCM || tag
  keyId @1 :Data $class(clear);
  newKeys @2 :List(WrappedKey) $class(clear);
}

struct SealedDisclosure {
  path @0 :Text $class(clear);
  keyId @1 :Data $class(clear);
  nonce @2 :Data $class(clear);
  sealed @3 :Data $class(clear);
}

struct Sealed {
  entry @0 :Data $class(clear);
  requestDigest @1 :Data $class(clear);
  fingerprintGeneration @2 :UInt32 $class(clear);
  disclosures @3 :List(SealedDisclosure) $class(clear);
}

struct Claim {
  node @0 :Text $class(clear);
  url @1 :Text $class(clear);
  level @2 :UInt16 $class(clear);
}

struct Genesis {
  ledgerId @0 :Text $class(clear);
  origin @1 :Text $class(clear);
  partition @2 :UInt32 $class(clear);
  partitions @3 :UInt32 $class(clear);
  createdAt @4 :Int64 $class(clear);
}

struct Keys {
  # Content of a record of kind keys: wrapped keys that no entry carries.
  newKeys @0 :List(WrappedKey) $class(clear);
}
