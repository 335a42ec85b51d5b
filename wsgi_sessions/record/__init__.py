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
from wsgi_sessions.record.large_values import ELSEWHERE, are_in_place, content, stored_at
from wsgi_sessions.record.record import (
    ENDED,
    KEPT,
    MAX_DEVICE,
    OWN_LIFETIME,
    PERMANENT,
    Record,
    is_newer,
    pack,
    pack_body,
    unpack,
    unpack_body,
)
from wsgi_sessions.record.stored_type import NotRestored, StoredType
from wsgi_sessions.record.stored_value import LARGE, StoredValue, ValueCodec, same

__all__ = [
    "DEPTH",
    "ELSEWHERE",
    "ENDED",
    "IMMUTABLE",
    "KEPT",
    "LARGE",
    "MAX_DEVICE",
    "OVERHEAD",
    "OWN_LIFETIME",
    "PERMANENT",
    "Codec",
    "Converted",
    "MsgpackCodec",
    "NotRestored",
    "Record",
    "RecordCipher",
    "StoredType",
    "StoredValue",
    "ValueCodec",
    "are_alike",
    "are_in_place",
    "content",
    "derive_key",
    "is_encrypted",
    "is_newer",
    "pack",
    "pack_body",
    "parse_key",
    "same",
    "stored_at",
    "unpack",
    "unpack_body",
]
