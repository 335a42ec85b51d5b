"""Bytes: what a store keeps for one session, and how a value becomes bytes."""

from __future__ import annotations

from wsgi_sessions.record.codec import IMMUTABLE, Codec, Converted, MsgpackCodec
from wsgi_sessions.record.containers import DEPTH, are_alike
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
from wsgi_sessions.record.stored_type import StoredType, UnknownTag

__all__ = [
    "DEPTH",
    "ENDED",
    "IMMUTABLE",
    "OVERHEAD",
    "Codec",
    "Converted",
    "MsgpackCodec",
    "Record",
    "RecordCipher",
    "StoredType",
    "UnknownTag",
    "are_alike",
    "derive_key",
    "is_encrypted",
    "is_newer",
    "pack",
    "parse_key",
    "record_of",
    "unpack",
]
