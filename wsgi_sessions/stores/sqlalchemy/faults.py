"""What an error of a database driver means for the SQLAlchemy store."""

from __future__ import annotations

from enum import Enum

__all__ = ["Fault", "describe"]


class Fault(Enum):
    """Why a statement failed, as far as something can be done about it."""

    LOST = "the connection was closed; whether the statement was carried out is not known"
    ROLLED_BACK = "a deadlock or a serialization failure: it was not carried out"
    MISSING_TABLE = "there is no such table"
    MISSING_COLUMN = "the table has another shape"
    READ_ONLY = "this connection cannot write; another one perhaps can"
    BUSY = "a lock that somebody holds, or no space"
    POOLED = "a pooler gave this statement another session than the last: it was not carried out"
    TOO_LARGE = "the record is larger than the server's max_allowed_packet"
    OTHER = "anything else"

    @classmethod
    def of(cls, error: BaseException) -> Fault:
        """The fault that the server's error code stands for."""
        text = str(error)  # SQLite has no codes for these
        if text.startswith("no such table"):
            return cls.MISSING_TABLE
        if text.startswith("no such column") or " has no column named " in text:
            return cls.MISSING_COLUMN
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in SQLITE_BUSY:
            return cls.BUSY
        return CODES.get(_code(error), cls.OTHER)


CODES = {
    "42P01": Fault.MISSING_TABLE,
    "1146": Fault.MISSING_TABLE,
    "42703": Fault.MISSING_COLUMN,
    "1054": Fault.MISSING_COLUMN,
    "40001": Fault.ROLLED_BACK,
    "40P01": Fault.ROLLED_BACK,
    "1213": Fault.ROLLED_BACK,
    "25006": Fault.READ_ONLY,
    "1290": Fault.READ_ONLY,
    "1792": Fault.READ_ONLY,
    "1836": Fault.READ_ONLY,
    "26000": Fault.POOLED,
    "42P05": Fault.POOLED,
    "9006": Fault.POOLED,
    "55P03": Fault.BUSY,
    "53100": Fault.BUSY,
    "1205": Fault.BUSY,
    "1969": Fault.BUSY,  # MariaDB's limit for a statement, shorter than that for a lock can be
    "1114": Fault.BUSY,
    "1021": Fault.BUSY,
    "1153": Fault.TOO_LARGE,
}
"""SQLSTATE of PostgreSQL and error numbers of MySQL, with that of ProxySQL."""

SQLITE_BUSY = (5, 6, 8, 13)
"""Busy, locked, read-only and full; the lowest byte of what ``sqlite3`` has from Python 3.11 on."""


def _code(error: BaseException) -> str:
    """MySQL's error number, or the SQLSTATE, wherever the driver keeps it."""
    first = error.args[0] if error.args else None
    if isinstance(first, int):
        return str(first)
    if isinstance(first, dict):  # pg8000
        return str(first.get("C"))
    return str(getattr(error, "sqlstate", None) or getattr(error, "pgcode", None))


def describe(error: BaseException) -> str:
    """One line, without the details in which servers quote a row's values."""
    line = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {line[:200]}"
