"""The signed value of the cookie."""

from __future__ import annotations

import hashlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import TimestampSigner

from wsgi_sessions import StoreUnavailable
from wsgi_sessions.cookie.token import Token, TokenSigner, hash_secret, new_id, new_secret

NOW = 1_800_000_000.0
SID = new_id() + new_secret()
signer = TokenSigner(["a secret"], "sid")
VALUE = signer.sign(SID, NOW)
URLSAFE = string.ascii_letters + string.digits + "-_"


def test_what_was_signed_is_verified_with_its_date() -> None:
    """The id, the secret and the second of signing come back."""
    assert signer.verify(VALUE) == Token(SID[:22], SID[22:], 1_800_000_000, hash_secret(SID[22:]))


@pytest.mark.parametrize("now", [0, 1, 255, 256, 2**32 - 1, 2**32, NOW + 0.9, 2**48 - 1])
def test_any_date_is_kept(now: float) -> None:
    """Short and long timestamps are well-formed."""
    token = signer.verify(signer.sign(SID, now))
    assert token is not None
    assert token.issued_at == int(now)


def test_the_value_is_that_of_itsdangerous() -> None:
    """A TimestampSigner with the documented parameters accepts it."""
    theirs = TimestampSigner(
        "a secret",
        salt="wsgi_sessions.sid:sid",
        key_derivation="hmac",
        digest_method=hashlib.sha256,
    )
    assert theirs.unsign(VALUE) == SID.encode()
    assert signer.verify(theirs.sign(SID).decode()) is not None


@pytest.mark.parametrize(
    "other", [TokenSigner(["another"], "sid"), TokenSigner(["a secret"], "sid2")]
)
def test_another_secret_or_cookie_name_is_refused(other: TokenSigner) -> None:
    """The signature is bound to both."""
    assert other.verify(VALUE) is None


def test_a_fallback_secret_verifies_and_does_not_sign() -> None:
    """Rotation: the newest secret is the first."""
    rotated = TokenSigner(["new", "a secret"], "sid")
    assert rotated.verify(VALUE) is not None
    assert signer.verify(rotated.sign(SID, NOW)) is None


@pytest.mark.parametrize("position", range(len(VALUE)))
def test_every_changed_character_is_refused(position: int) -> None:
    """Also where another character spells the same bytes: only the canonical one is accepted."""
    for character in URLSAFE + "=+/. \x00é":
        if character != VALUE[position]:
            changed = VALUE[:position] + character + VALUE[position + 1 :]
            assert signer.verify(changed) is None, (position, character)


@pytest.mark.parametrize(
    "value",
    ["", ".", "..", VALUE[:-1], VALUE + "A", VALUE + "=", VALUE + "\n", " " + VALUE,
     f'"{VALUE}"', VALUE.replace(".", "%2e"), VALUE * 2, "x" * 1_000_000],
    ids=["empty", "a dot", "two dots", "shorter", "longer", "padded", "a newline", "a space",
         "quoted", "percent", "twice", "huge"],
)  # fmt: skip
def test_a_malformed_value_is_refused(value: str) -> None:
    """Truncated, extended, quoted or huge."""
    assert signer.verify(value) is None


@given(st.text(max_size=120))
def test_no_text_breaks_the_check(value: str) -> None:
    """Whatever a browser sends, the answer is None."""
    assert signer.verify(value) is None


def test_ids_and_secrets_are_128_random_bits() -> None:
    """22 characters, and no two alike."""
    made = {new_id() for _ in range(1000)} | {new_secret() for _ in range(1000)}
    assert len(made) == 2000
    assert {len(one) for one in made} == {22}


def test_a_token_shows_no_secret() -> None:
    """Nor does a hash."""
    token = signer.verify(VALUE)
    assert SID[22:] not in repr(token)
    assert SID[22:].encode() not in hash_secret(SID[22:])


def test_what_was_refused_lately_is_remembered_until_a_key_is_learnt() -> None:
    """A thousand short values at most, so that nobody fills a worker with them."""
    values = [TokenSigner(["another"], "sid").sign(SID, NOW + second) for second in range(2500)]
    asked: list[str] = []

    def learn() -> bytes | None:
        asked.append("the store")
        return None

    fresh = TokenSigner(["a secret"], "sid", learn)
    for value in (*values, *values, "x" * 10_000):
        assert fresh.verify(value) is None
        assert len(fresh._refused) <= 1000
    assert fresh._refused <= set(values)
    assert asked == ["the store"]
    learning = TokenSigner(["a secret"], "sid", lambda: b"another")
    assert learning.verify("not a cookie") is None
    assert all(learning.verify(value) is not None for value in values)


def test_what_could_not_be_decided_is_not_remembered_as_refused() -> None:
    """The store has the key and does not answer: the next request asks again."""
    answers = iter([StoreUnavailable("gone"), b"another"])

    def learn() -> bytes | None:
        answer = next(answers)
        if isinstance(answer, bytes):
            return answer
        raise answer

    value = TokenSigner(["another"], "sid").sign(SID, NOW)
    fresh = TokenSigner(["a secret"], "sid", learn)
    with pytest.raises(StoreUnavailable):
        fresh.verify(value)
    assert fresh.verify(value) is not None


def test_a_cookie_that_comes_while_its_key_is_learnt_is_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By another thread, in the middle: else it would be remembered as refused."""
    first, second = (TokenSigner(["another"], "sid").sign(SID, NOW + day) for day in (0, 86_400))
    make_key = TokenSigner._key
    learning = TokenSigner(["a secret"], "sid", lambda: b"another")
    beside: list[Token | None] = []

    def interrupted(self: TokenSigner, secret: str | bytes) -> object:
        monkeypatch.undo()
        beside.append(learning.verify(second))
        return make_key(self, secret)

    monkeypatch.setattr(TokenSigner, "_key", interrupted)
    assert learning.verify(first) is not None
    assert beside[0] is not None
    assert learning.verify(second) is not None


def test_what_was_verified_lately_is_remembered_and_nothing_else() -> None:
    """A thousand values at most; the cryptography is done again for the others."""
    fresh = TokenSigner(["a secret"], "sid")
    forged = VALUE[:-1] + ("A" if VALUE[-1] != "A" else "E")
    values = [fresh.sign(SID, NOW + second) for second in range(2500)]
    for value in values:
        assert fresh.verify(forged) is fresh.verify(forged) is None
        token = fresh.verify(value)
        assert token is not None
        assert fresh.verify(value) is token
        assert 0 < len(fresh._verified) <= 1000
    assert fresh._verified.keys() <= set(values)
    assert fresh._refused == {forged}
    assert fresh.verify(values[0]) == Token(SID[:22], SID[22:], int(NOW), hash_secret(SID[22:]))
