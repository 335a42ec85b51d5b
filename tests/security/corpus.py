"""Cookie headers that somebody may send, made of a real cookie."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha1, sha256, sha512
from typing import NamedTuple

from itsdangerous import Signer, TimestampSigner

CANARY = "CANARY"
"""In every header that has room for it; must turn up nowhere else."""
URLSAFE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class Attempt(NamedTuple):
    """One ``Cookie`` header as WSGI gives it: each character one byte."""

    name: str
    header: str
    is_visitor: bool = False
    """Whether the visitor's own cookie stands intact in it, so that it must be found."""


class Stolen(NamedTuple):
    """What the attacker has to work with."""

    cookie: str
    """A real cookie value, of a visitor whose session must not open."""
    name: str = "sid"
    secret: str = ""
    """The application's signing secret, where something has to be signed for another purpose."""


def shapes(stolen: Stolen) -> Iterator[Attempt]:
    """Headers without any cookie of value."""
    name = stolen.name
    for header in (
        "",
        f"{name}",
        f"{name}=",
        "=",
        ";",
        ";;; ;",
        f"={stolen.cookie}",
        "\t",
        " = ; ",
    ):
        yield Attempt(repr(header), header)
    yield Attempt("10,000 other cookies", f"a={CANARY}; " * 10_000)
    yield Attempt("10,000 of our name", f"{name}={CANARY}; " * 10_000)
    yield Attempt("10,000 that look right", f"{name}={'A' * 44}.aaaaaa.{'A' * 43}; " * 10_000)
    yield Attempt("1 MiB of value", f"{name}=" + "x" * (1 << 20))
    yield Attempt("1 MiB of name", name * (1 << 18) + "=x")
    yield Attempt("1 MiB of ;", ";" * (1 << 20))
    yield Attempt("1 MiB of =", f"{name}" + "=" * (1 << 20))
    yield Attempt("1 MiB of spaces", f"{name}=" + " " * (1 << 20) + CANARY)
    yield Attempt("1 MiB of backslashes", f'{name}="' + "\\" * (1 << 20))


def flips(stolen: Stolen) -> Iterator[Attempt]:
    """Every single bit of the value turned over."""
    for bit in range(8 * len(stolen.cookie)):
        at, mask = bit // 8, 1 << bit % 8
        flipped = chr(ord(stolen.cookie[at]) ^ mask)
        value = stolen.cookie[:at] + flipped + stolen.cookie[at + 1 :]
        yield Attempt(f"bit {bit}", f"{stolen.name}={value}")


def lengths(stolen: Stolen) -> Iterator[Attempt]:
    """Truncated at each character from both ends, and extended."""
    cookie = stolen.cookie
    for at in range(len(cookie)):
        yield Attempt(f"up to {at}", f"{stolen.name}={cookie[:at]}")
        yield Attempt(f"from {at + 1}", f"{stolen.name}={cookie[at + 1 :]}")
    for junk in ("A", "=", "==", ".", ".A", " A", "\n", "\x00", "%00", CANARY, "." + cookie):
        yield Attempt(f"and {junk!r}", f"{stolen.name}={cookie}{junk}x")
        yield Attempt(f"{junk!r} before", f"{stolen.name}=x{junk}{cookie}")


def spellings(stolen: Stolen) -> Iterator[Attempt]:
    """Other last characters of each part, which a lenient decoder takes for the same bytes."""
    cookie = stolen.cookie
    for at in (21, 43, len(cookie) - 1):
        for character in URLSAFE + "+/=":
            if character != cookie[at]:
                value = cookie[:at] + character + cookie[at + 1 :]
                yield Attempt(f"{character} at {at}", f"{stolen.name}={value}")
    yield Attempt("standard base64", f"{stolen.name}={cookie.replace('-', '+').replace('_', '/')}+")
    yield Attempt("padded", f"{stolen.name}={cookie}=")
    yield Attempt("swapped case", f"{stolen.name}={cookie.swapcase()}")


def forgeries(stolen: Stolen) -> Iterator[Attempt]:
    """The same sid, signed for another purpose, by another key, in another way, or not at all."""
    sid = stolen.cookie[:44]
    own = f"wsgi_sessions.sid:{stolen.name}"

    def signed(secret: str, salt: str, digest: Callable[..., object], derivation: str) -> str:
        return (
            TimestampSigner(secret, salt=salt, key_derivation=derivation, digest_method=digest)
            .sign(sid)
            .decode()
        )

    for what, value in {
        "another secret": signed("guess", own, sha256, "hmac"),
        "the empty secret": signed("", own, sha256, "hmac"),
        "another salt": signed(stolen.secret, "cookie-session", sha256, "hmac"),
        "another cookie": signed(stolen.secret, own + "2", sha256, "hmac"),
        "SHA-1": signed(stolen.secret, own, sha1, "hmac"),
        "SHA-512": signed(stolen.secret, own, sha512, "hmac"),
        "another derivation": signed(stolen.secret, own, sha256, "django-concat"),
        "no derivation": signed(stolen.secret, own, sha256, "none"),
        "no timestamp": Signer(stolen.secret, salt=own, key_derivation="hmac", digest_method=sha256)
        .sign(sid)
        .decode(),
        "no signature": stolen.cookie.rpartition(".")[0],
        "an empty signature": stolen.cookie.rpartition(".")[0] + ".",
        "the sid alone": sid,
        "the id alone": sid[:22],
        "none": sid + ".none." + "A" * 43,
    }.items():
        yield Attempt(what, f"{stolen.name}={value}")


def encodings(stolen: Stolen) -> Iterator[Attempt]:
    """The real value in a form that only a parser which interprets would take for it."""
    name, cookie = stolen.name, stolen.cookie
    percent = "".join(f"%{ord(character):02x}" for character in cookie)
    octal = "".join(f"\\{ord(character):03o}" for character in cookie)
    values = {
        "quoted": f'"{cookie}"',
        "half quoted": f'"{cookie}',
        "percent-encoded": percent,
        "one percent-encoded": cookie[:44] + percent[132:135] + cookie[45:],
        "octal": f'"{octal}"',
        "one octal": f'"{cookie[:44]}{octal[176:180]}{cookie[45:]}"',
        "one escaped": f'"{cookie[:44]}\\{cookie[44:]}"',
        "folded": cookie[:50] + "\r\n " + cookie[50:],
        "NUL inside": cookie[:50] + "\x00" + cookie[50:],
        "NUL behind": cookie + "\x00",
        "CR behind": cookie + "\r",
        "LF behind": cookie + "\n",
        "header behind": cookie + f"\r\nSet-Cookie: {CANARY}=1",
        "full-width": "".join(chr(0xFEE0 + ord(character)) for character in cookie),
        "soft hyphens": "\xad".join(cookie),
        "BOM": "\ufeff" + cookie,
        "lone surrogate": cookie + "\ud800",
        "emoji": "\U0001f36a" + cookie,
    }
    for what, value in values.items():
        yield Attempt(what, f"{name}={value}")
    for space in "\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2003\u2028\u3000\ufeff":
        for byte in {space, space.encode().decode("latin-1")}:
            for pair in (
                f"{byte}{name}={cookie}",
                f"{name}{byte}={cookie}",
                f"{name}={byte}{cookie}",
                f"{name}={cookie}{byte}",
            ):
                yield Attempt(f"{byte!r} in {pair[:8]!r}", pair)
    for other in (f"__Host-{name}", f"__Secure-{name}", f"{name}x", f"x{name}", name.swapcase(),
                  name[:-1], f'"{name}"', f"${name}", f"{name}[]", f"{name}\x00", f"%{name}",
                  f"a={name}", name.replace("i", "%69")):  # fmt: skip
        yield Attempt(f"called {other!r}", f"{other}={cookie}")
    for header in (
        f"a=1, {name}={cookie}x",
        f"{name}=x, {name}={cookie}",
        f"a=1, {name}={cookie}; {name}=x",
        f"a=1, x{name}={cookie}",
        f"a=1\r\n{name}={cookie}",
        f"a=1\x00{name}={cookie}",
        f"a=1&{name}={cookie}",
    ):
        yield Attempt(f"merged {header[:12]!r}", header)


def neighbours(stolen: Stolen) -> Iterator[Attempt]:
    """The real cookie among others that would hide it from a parser which interprets."""
    ours = f"{stolen.name}={stolen.cookie}"
    for what, header in {
        "an open quote before": f'a="x; {ours}',
        "quotes around": f'a="x; {ours}; b=y"',
        "a backslash before": f'a="\\"; {ours}',
        "no name": f"=x; {ours}",
        "no equals sign": f"x; {ours}",
        "empty pairs": f";; ;{ours};;",
        "joined by a comma after": f"a=1, {ours}",
        "joined by a comma before": f"{ours}, a=1",
        "joined by a comma twice": f"{ours},{ours}",
        "a version before": f"$Version=1, {ours}",
        "tabs": f"\t{stolen.name}\t=\t{stolen.cookie}\t",
        "no space": f"a=1;{ours};b=2",
        "bytes": f"a=\xff\xfe; {ours}",
        "NUL": f"a=\x00; {ours}",
        "a comma": f"a=1,2; {ours}",
        "$Version": f"$Version=1; {ours}; $Path=/",
        "our name in a value": f"a={stolen.name}={CANARY}; {ours}",
        "junk of our name": f"{stolen.name}={CANARY}; {ours}; {stolen.name}=",
        "itself again": f"{ours}; {ours}",
        "1,000 others": f"a={CANARY}; " * 1000 + ours,
        "attributes": f"{ours}; Path=/; Secure; HttpOnly",
    }.items():
        yield Attempt(what, header, is_visitor=True)


WORTHLESS = [shapes, flips, lengths, spellings, forgeries, encodings]
"""Kinds of attempts that hold no cookie which we have signed."""
