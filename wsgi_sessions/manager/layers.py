"""The layers of an application: the middlewares around it, as far as they show what they wrap."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["layers_of"]

_WRAPPED = ("app", "wsgi_app", "application")
"""Where middlewares and test clients keep what they wrap: most the first, Flask the second,
WhiteNoise and Flask's client the third."""


def layers_of(*outermost: object) -> Iterator[object]:
    """WSGI applications from the outside to the inside, *outermost* included. No I/O."""
    found, seen = [*outermost], set()
    for layer in found:
        if layer is not None and id(layer) not in seen:
            seen.add(id(layer))
            yield layer
            found += [getattr(layer, name, None) for name in _WRAPPED]
