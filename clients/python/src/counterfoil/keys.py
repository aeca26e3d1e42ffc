"""Idempotency keys: UUIDv7 (RFC 9562), the time in milliseconds and 74 random bits."""

from __future__ import annotations

import secrets
import time
import uuid


def new_key() -> uuid.UUID:
    milliseconds = time.time_ns() // 1_000_000
    return uuid.UUID(int=milliseconds << 80 | 7 << 76 | secrets.randbits(12) << 64 | 2 << 62 | secrets.randbits(62))
