"""Classes that say themselves what their values are made of: ``MsgpackCodec(types=[Cart])``.

A dataclass and a ``NamedTuple`` become a dict of their fields, an ``Enum`` the name of its member,
a ``Flag`` its number, a pydantic model what it dumps, a path its text, an array of numpy the text
of its type, its shape and its bytes.

A field that a class no longer has is left out when a stored value is read, and one that it did not
have then gets its default. Neither pydantic nor numpy is imported here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import fields, is_dataclass
from enum import Enum, Flag
from inspect import Parameter, signature
from pathlib import PurePath
from typing import Any, NamedTuple

from wsgi_sessions.errors import ConfigurationError

__all__ = ["Form", "form_of"]

_ARRAY_TYPE = re.compile(r"[<>|][biufcSUmM]\d{1,6}(\[\d*[a-zA-Z]{1,2}\])?")
"""As numpy writes its numbers, texts and times. No objects: their bytes are addresses."""


class Form(NamedTuple):
    """How the values of one class become plain, and are made again: see
    :class:`~wsgi_sessions.record.StoredType`."""

    to_plain: Callable[[Any], Any]
    from_plain: Callable[[Any], Any]
    immutable: bool = False


def form_of(kind: Any) -> Form:
    """The form of the class *kind*. Raises :exc:`~wsgi_sessions.ConfigurationError` for a class
    that does not say what its values are made of."""
    form = None
    if issubclass(kind, Enum):
        form = _form_of_enum(kind)
    elif is_dataclass(kind):
        form = _form_of_fields(kind, *_fields_of(kind))
    elif issubclass(kind, tuple) and hasattr(kind, "_fields"):
        form = _form_of_fields(kind, kind._fields)
    elif issubclass(kind, PurePath):
        form = Form(str, kind, immutable=True)
    elif hasattr(kind, "model_validate") and not _is_in(kind, "pydantic"):
        form = _form_of_model(kind)
    elif kind.__name__ == "ndarray" and _is_in(kind, "numpy"):
        form = _form_of_array(kind)
    if form is None:
        raise ConfigurationError(
            f"types: {kind.__name__} does not say what its values are made of: "
            f"StoredType({kind.__name__}, 'a tag', to_plain, from_plain)"
        )
    return form


def _is_in(kind: type, library: str) -> bool:
    return kind.__module__.partition(".")[0] == library


def _form_of_enum(kind: type[Enum]) -> Form | None:
    if issubclass(kind, Flag):
        return Form(lambda member: member.value, kind, immutable=True)
    if not kind.__members__:  # whose members it would name, nobody knows
        return None
    return Form(lambda member: member.name, kind.__members__.__getitem__, immutable=True)


def _fields_of(kind: Any) -> tuple[list[str], list[str]]:
    """Of a dataclass: those that its constructor takes, and the others."""
    taken = [field.name for field in fields(kind) if field.init]
    return taken, [field.name for field in fields(kind) if not field.init]


def _form_of_fields(kind: Any, taken: Iterable[str], others: Iterable[str] = ()) -> Form:
    taken, others = tuple(taken), tuple(others)
    _check_constructor(kind, taken)

    def to_plain(value: Any) -> dict[str, Any]:
        return {name: getattr(value, name) for name in (*taken, *others)}

    def from_plain(plain: dict[str, Any]) -> Any:
        value = kind(**{name: plain[name] for name in taken if name in plain})
        for name in others:
            if name in plain:
                object.__setattr__(value, name, plain[name])  # it may be frozen
        return value

    return Form(to_plain, from_plain)


def _check_constructor(kind: Any, taken: tuple[str, ...]) -> None:
    """A constructor that needs what no field holds could not be called with a stored value."""
    parameters: dict[str, Parameter] = {}
    with suppress(ValueError):  # written in C, and does not say
        parameters = dict(signature(kind).parameters)
    for name, parameter in parameters.items():
        is_needed = parameter.default is Parameter.empty
        if is_needed and parameter.kind in _NAMED and name not in taken:
            raise ConfigurationError(
                f"types: {kind.__name__} cannot be made of its fields, as it needs {name!r}: "
                f"StoredType({kind.__name__}, 'a tag', to_plain, from_plain)"
            )


_NAMED = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


def _form_of_model(kind: Any) -> Form:
    def to_plain(model: Any) -> Any:
        plain = model.model_dump(by_alias=True, round_trip=True, warnings=False)
        type(model).model_validate(plain)  # what would not come back is refused on assignment
        return plain

    return Form(to_plain, kind.model_validate)


def _form_of_array(kind: Any) -> Form:
    def to_plain(array: Any) -> list[Any]:
        return [_checked(array.dtype.str), list(array.shape), array.tobytes()]

    def from_plain(plain: list[Any]) -> Any:
        dtype, shape, data = plain
        array = kind(shape, _checked(dtype), bytearray(data))  # not bytes: it can be written to
        if array.nbytes != len(data) or list(array.shape) != shape:
            raise ValueError("shape and data do not fit")
        return array

    return Form(to_plain, from_plain)


def _checked(dtype: str) -> str:
    if not _ARRAY_TYPE.fullmatch(dtype):
        raise TypeError("an array of numbers, texts or times can be stored")
    return dtype
