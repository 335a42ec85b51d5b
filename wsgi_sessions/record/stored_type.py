"""Types of the application's own, which a codec was given: ``MsgpackCodec(types=[…])``.

A value of such a type is stored as the plain value that one function makes of it, under a tag, and
made again by another. On the wire it is an array of two: extension type 20 with the tag in UTF-8,
and the plain value.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple

import ormsgpack

from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.record.forms import form_of

__all__ = ["OWN_TYPE", "NotRestored", "OwnTypes", "StoredType", "TypeEntry"]

OWN_TYPE = 20
"""The number of the extension type."""

_MAX_TAG_LENGTH = 100


class StoredType(NamedTuple):
    """A type of the application's own, and how its values are stored. A plain tuple serves too.

    >>> from fractions import Fraction
    >>> from wsgi_sessions import MsgpackCodec
    >>> from wsgi_sessions.record import StoredType
    >>> fraction = StoredType(Fraction, "fraction", str, Fraction, immutable=True)
    >>> codec = MsgpackCodec(types=[fraction])
    >>> codec.loads(codec.dumps(Fraction(1, 3)))
    Fraction(1, 3)

    A class that says what its values are made of (a dataclass, ``Enum``, ``NamedTuple``, pydantic
    model, path, array of numpy) needs no functions: ``types=[Cart]`` is the same as
    ``types=[StoredType.of(Cart)]``.

    The same value must give the same plain value in every process. A tag is in the records, so a
    type may be renamed and moved, but its tag stays; a value whose tag is no longer known, or that
    *from_plain* refuses, is missing for the application, named in the log, and stays in the record.
    """

    type: type
    """Its subclasses too, if *from_plain* gives them back with their own class."""
    tag: str | int
    """A short text. A number is its digits."""
    to_plain: Callable[[Any], Any]
    """Gives a value of the supported types. What it raises is
    :exc:`~wsgi_sessions.UnsupportedValue` for the application."""
    from_plain: Callable[[Any], Any]
    """Gets that value back, and must check it as input: whoever can write to the store can write
    any. What it raises is a value that is missing."""
    immutable: bool = False
    """Whether values never change in place, so that a session need not look at them again."""

    @classmethod
    def of(cls, kind: Any, tag: str | int | None = None) -> StoredType:
        """That of the class *kind*, which says what its values are made of, under its name; or
        under *tag*, where it was renamed, or two have the same name.

        :raises ConfigurationError: it does not say that.
        """
        return cls(kind, kind.__name__ if tag is None else tag, *form_of(kind))


TypeEntry = (
    type
    | StoredType
    | tuple[type, str | int, Callable[[Any], Any], Callable[[Any], Any]]
    | tuple[type, str | int, Callable[[Any], Any], Callable[[Any], Any], bool]
)


class NotRestored(ValueError):
    """A value of a type that this codec was not given, or that the type's function refuses. It is
    sound, and another process may restore it, so it costs nothing but itself."""


class OwnTypes:
    """The types that one codec was given."""

    __slots__ = ("_by_tag", "_by_type", "immutable")

    def __init__(self, types: Iterable[TypeEntry], listed: Collection[type]) -> None:
        self._by_tag: dict[str, StoredType] = {}
        # By identity: a metaclass can make a type equal to another, or raise when it is hashed.
        self._by_type: dict[int, tuple[StoredType, ormsgpack.Ext]] = {}
        for given in types:
            own = _checked(given, listed)
            tag = str(own.tag)
            if tag in self._by_tag or id(own.type) in self._by_type:
                raise ConfigurationError(
                    f"types: {tag!r} or its type is there twice: StoredType.of(…, tag=…) gives a "
                    f"class another tag"
                )
            self._by_tag[tag] = own
            self._by_type[id(own.type)] = own, ormsgpack.Ext(OWN_TYPE, tag.encode())
        types_given = self._by_tag.values()
        self.immutable: tuple[type, ...] = tuple(own.type for own in types_given if own.immutable)

    def find(self, kind: type) -> tuple[StoredType, ormsgpack.Ext] | None:
        """What *kind*, exactly, was declared to be, and how its values begin on the wire."""
        return self._by_type.get(id(kind))

    def restore(self, tag: bytes, items: list[Any]) -> Any:
        """The value that the only one of *items* was made of.

        :raises NotRestored: the type is unknown here, or its function raises.
        :raises ValueError: it is damaged.
        """
        if len(items) != 1:
            raise ValueError("a tag is not followed by one value")
        name = tag.decode("utf-8", "backslashreplace")
        own = self._by_tag.get(name)
        if own is None:
            raise NotRestored(
                f"a value has the tag {name[:_MAX_TAG_LENGTH]!a}, which no type has here: "
                f"give its type to MsgpackCodec(types=…)"
            )
        try:
            return own.from_plain(items[0])
        except Exception as error:  # noqa: BLE001  # its message may show the value
            problem = f"from_plain of {name!a} raised {type(error).__name__}"
            raise NotRestored(problem) from None


def _checked(given: Any, listed: Collection[type]) -> StoredType:
    try:
        own = StoredType.of(given) if isinstance(given, type) else StoredType(*given)
    except TypeError:
        raise ConfigurationError(
            "types: each is a class, or StoredType(a class, 'a tag', to_plain, from_plain)"
        ) from None
    if not isinstance(own.type, type) or own.type in listed:
        raise ConfigurationError(f"types: {own.type!r} is no class, or is stored as it is")
    if not _is_short_text(own.tag) and type(own.tag) is not int:
        raise ConfigurationError(f"types: the tag of {own.type.__name__} is no short text")
    if not callable(own.to_plain) or not callable(own.from_plain):
        raise ConfigurationError(f"types: to_plain or from_plain of {own.tag!r} is no function")
    return own


def _is_short_text(tag: object) -> bool:
    return type(tag) is str and 0 < len(tag) <= _MAX_TAG_LENGTH and tag.isprintable()
