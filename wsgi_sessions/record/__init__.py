"""Bytes: what a store keeps for one session, and how a value becomes bytes."""

from __future__ import annotations

from wsgi_sessions.record.codec import IMMUTABLE, Codec, MsgpackCodec
from wsgi_sessions.record.encryption import (
    OVERHEAD,
    RecordCipher,
    derive_key,
    is_encrypted,
    parse_key,
)
from wsgi_sessions.record.record import (
    ENDED,
    Record,
    is_newer,
    pack,
    record_of,
    unpack,
)

__all__ = [
    "ENDED",
    "IMMUTABLE",
    "OVERHEAD",
    "Codec",
    "MsgpackCodec",
    "Record",
    "RecordCipher",
    "derive_key",
    "is_encrypted",
    "is_newer",
    "pack",
    "parse_key",
    "record_of",
    "unpack",
]
