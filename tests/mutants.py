"""Break the code on purpose, one way at a time, and see that the tests notice.

``make mutants`` runs this. Each mutant is the package with one piece of code replaced; it is killed
if the tests of the core fail on it. A mutant that survives is a guarantee that nothing checks.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
TESTS = "session manager middleware cookies tokens changes record lifetimes cookie_store encryption breaker"
IN_PROCESS = [f"tests/test_{name}.py" for name in TESTS.split()]
WORKERS = max(1, os.cpu_count() or 1)


class Mutant(NamedTuple):
    breaks: str
    file: str
    old: str
    new: str


def of(file: str, *mutants: tuple[str, str, str]) -> list[Mutant]:
    return [Mutant(breaks, file, old, new) for breaks, old, new in mutants]


MUTANTS = [
    *of(
        "cookies.py",
        ("a cookie whose name only ends like ours is taken", 'rf";[ \\t]*+{re.escape(name)}', 'rf"{re.escape(name)}'),
        ("case of the name does not matter", '([^;]*+)")', '([^;]*+)", re.IGNORECASE)'),
        ("Unicode spaces are stripped", 'rf";[ \\t]*+', 'rf";\\s*+'),
        ("values are unquoted", '_trim(value) if value[-1:] in _SPACE else value for', "value.strip(' \\t\"') for"),
        ("the first cookie of our name hides the others", 'findall(";" + header)', 'findall(";" + header)[:1]'),
        ("HttpOnly is left out", '"; HttpOnly" if httponly', '"; HttpOnly" if not httponly'),
        ("deleting forgets the attributes", "Max-Age=0{self._suffix[secure]}", "Max-Age=0"),
        ("__Host- is not checked for a domain", "and domain is None and path", "and path"),
    ),
    *of(
        "tokens.py",
        ("any signature is accepted", "if compare_digest(key.signature(payload), signature):", "if True:"),
        ("only the first secret verifies", "for key in self._keys:", "for key in self._keys[:1]:"),
        ("the signature is not bound to the cookie name", "wsgi_sessions.sid:{cookie_name}", "wsgi_sessions.sid"),
        ("the oldest secret signs", "self._keys[0].signature", "self._keys[-1].signature"),
        ("the record keeps the secret itself", 'sha256(secret.encode("ascii")).digest()', 'secret.encode("ascii")'),
        ("the form is not checked first", "if _well_formed(value) is None:", "if False:"),
        ("what was refused is remembered as good", "        return None\n\n\ndef _base64url", "        return self._verified.setdefault(value, Token(value[:22], value[22:44], 0)) and None\n\n\ndef _base64url"),
        ("verified cookies are kept without end", "if len(self._verified) >= _REMEMBERED:", "if False:"),
    ),
    *of(
        "record.py",
        ("the checksum is not compared", "if data[:5] != _FRONT.pack(FORMAT, crc32(body)):", "if data[:1] != bytes([FORMAT]):"),
        ("any format is read", "if data[:5] != _FRONT.pack(FORMAT, crc32(body)):", "if data[1:5] != _FRONT.pack(FORMAT, crc32(body))[1:]:"),
        ("shapes are not checked", "if not (\n        type(secret_hash)", "if False and not (\n        type(secret_hash)"),
    ),
    *of(
        "changes.py",
        ("clear() forgets keys it has not seen", "merged = {} if self.cleared else values.copy()", "merged = values.copy()"),
        ("a merge changes the dict it is given", "else values.copy()", "else values"),
        ("a mutation is not applied again", "if start == change.seen:", "if True:"),
        ("a function is called again without need", "if start == change.seen:", "if False:"),
        ("a deletion is forgotten in a merge", "merged.pop(key, None)", "pass"),
        ("the second mutation replaces the first", "(*before.functions, (function, default))", "((function, default),)"),
    ),
    *of(
        "draft.py",
        ("nested changes are not looked for", "if data != known:", "if False:"),
        ("immutable values are encoded again", "if type(value) in IMMUTABLE:", "if False:"),
        ("the replaced secret is forgotten", "superseded = [*recent, (secret_hash, now)]", "superseded = recent"),
        ("regenerating keeps the secret", "secret_hash = hash_secret(self.secret)", "pass"),
        ("login does not restart the absolute lifetime", "now if self.restarted else created_at", "created_at"),
        ("clear() keeps the owner", "self.owner, self.permanent = None, permanent", "self.permanent = permanent"),
    ),
    *of(
        "session.py",
        ("looking is not noted", "        self.accessed = True\n", ""),
        ("an overtaken request saves", "        if origin.detached_from:\n            self._drop(origin)\n            return", "        if False:\n            return"),
        ("a failed decoding raises", "        except ValueError:\n            self._give_up()", "        except LookupError:\n            self._give_up()"),
        ("a renewed session sends no cookie", "new_cookie = due or bool", "new_cookie = bool"),
        ("a regenerated session sends no cookie", "new_cookie = due or bool(draft.secret) or reshaped", "new_cookie = due or reshaped"),
        ("becoming permanent sends no cookie", "or bool(draft.secret) or reshaped", "or bool(draft.secret)"),
        ("invalidate() leaves the record", "            self._manager.end(origin)\n", ""),
        ("invalidate() leaves the cookie", "            self._manager.end(origin)\n            self._cookie = EXPIRE", "            self._manager.end(origin)"),
        ("a superseded cookie ends the session", "if origin.detached_from:\n            # A", "if False:\n            # A"),
        ("get_or_create() gives its own value", "            draft.follow(origin.values)\n", "            draft.put(key, made)\n"),
        ("get_or_create() saves at the end only", "outcome = self._manager.update(origin, draft.first_writer(key, made))", "outcome = (draft.put(key, made), Outcome.UNCHANGED)[1]"),
        ("late changes of a new session are silent", "elif origin.record is None:", "elif False:"),
        ("a change after the request is silent", "        if self._phase is OVER:\n            self._too_late", "        if False:\n            self._too_late"),
        ("a promised cookie goes out after all", "            self._cookie = None  # also", "            pass  # also"),
        ("repr shows the values", "'not loaded' if self._origin is None else 'loaded'", "dict(self)"),
    ),
    *of(
        "manager.py",
        ("the version is not compared", "replacing=origin.version)", "replacing=getattr(self.store.inner.load(origin.id), 'version', None))"),
        ("the fence is forgotten", "            or record.secret_hash != before.secret_hash\n", ""),
        ("a gone session is resurrected", "            origin.detach()\n            return False", "            origin.version = None\n            return True"),
        ("a conflict is an error at once", "for attempt in range(_ATTEMPTS):", "for attempt in range(1):"),
        ("any secret opens the session", "if not compare_digest(proof, record.secret_hash):", "if False:"),
        ("superseded cookies are anonymous", "                origin.detached_from = id\n                return\n", "                pass\n"),
        ("superseded cookies are so for ever", " and recent:", ":"),
        ("cookies never get too old", "token is not None and now - token.issued_at < longest", "token is not None"),
        ("of two valid cookies the last wins", "        if len(tokens) == 1:", "        if tokens:"),
        ("equal values are saved", "if record == origin.record and not force:", "if False:"),
        ("empty sessions are stored", "            if record.is_empty:\n                return UNCHANGED\n", ""),
        ("an emptied session is stored", "data, expires_at = ENDED, 0.0", "data, expires_at = ENDED, now + 60"),
        ("a damaged record is an error", "        except BadRecord as error:\n            # It", "        except KeyError as error:\n            # It"),
        ("a large record is sent", "if len(data) > self._max_bytes:", "if False:"),
        ("a failed load is an anonymous visitor", 'if strict or self.options.on_store_error == "raise":', "if strict:"),
        ("a failed logout is silent", 'if strict or self.options.on_store_error == "raise":', 'if self.options.on_store_error == "raise":'),
        ("a logout that failed keeps the cookie", "return self._expire(secure) if carried and session._is_ending else []", "return []"),
        ("the login is not listed", "            self._owners.link(after.owner, id, expires_at=self._lifetimes.absolute_end(after))\n", "            pass\n"),
        ("permanent cookies end with the browser", "if record is not None and record.permanent:", "if False:"),
        ("Secure ignores the scheme", "return secure if configured is None else configured", "return bool(configured)"),
    ),
    *of(
        "manager.py",
        ("a failed load is not counted", "stored = store.load(token.id)\n            except StoreUnavailable:\n                self._breaker.failed(self.now() - now)", "stored = store.load(token.id)\n            except StoreUnavailable:"),
        ("a store that hangs is saved to", "        store = self.guarded if self._breaker.open else self.store\n        try:\n            version", "        store = self.store\n        try:\n            version"),
        ("a store that hangs is loaded from", "            store = self.guarded if self._breaker.open else self.store\n            try:\n                stored", "            store = self.store\n            try:\n                stored"),
        ("a logout waits for a store that hangs", "self.guarded.delete(", "self.store.delete("),
    ),
    *of(
        "breaker.py",
        ("one failure opens it", "_FAILURES = 5", "_FAILURES = 1"),
        ("old failures count", " and now - self._failures[0] <= _WITHIN", ""),
        ("a store that is full is not loaded from", "if after < _SLOW or self.open:", "if self.open:"),
        ("any error counts", "elif isinstance(error, StoreUnavailable):", "else:"),
        ("there are many probes", "self._probe_at = now + _LONGEST_PROBE", "pass"),
        ("a probe that hangs closes it for ever", "_LONGEST_PROBE = 10.0", "_LONGEST_PROBE = 1e9"),
        ("a failed probe is followed by the next", "self._probe_at = self._clock() + _OPEN_FOR", "self._probe_at = 0.0"),
        ("a failed probe is followed by none", "self._probe_at = self._clock() + _OPEN_FOR", "pass"),
        ("it never closes", "closes, self.open = self.open, False", "closes = True"),
        ("its failures are not forgotten", "            self._failures.clear()\n", ""),
    ),
    *of(
        "lifetimes.py",
        ("the idle lifetime is not enforced", "return now - last_used >= self.idle(record) or", "return"),
        ("the absolute lifetime is not enforced", " or now >= record.created_at + self._absolute", ""),
        ("the store keeps it beyond the absolute lifetime", "return min(now + self.idle(record), self.absolute_end(record))", "return now + self.idle(record)"),
        ("permanent sessions live as ordinary ones", "return self._permanent if record.permanent else self._ordinary", "return self._ordinary"),
        ("every request renews", "return abs(now - issued_at) > self.idle(record) / 10", "return True"),
        ("nothing is renewed", "return abs(now - issued_at) > self.idle(record) / 10", "return False"),
        ("a clock that was set back is not noticed", "return abs(now - issued_at)", "return now - issued_at"),
    ),
    *of(
        "sealing.py",
        ("a sealed record opens anywhere", "FORMAT + context)", "FORMAT)"),
        ("only the newest key opens", "for master in self._keys:", "for master in self._keys[:1]:"),
    ),
    *of(
        "headers.py",
        ("Vary is skipped", "_with_cookie(headers) if varied else [*headers, _VARY]", "list(headers)"),
        ("Vary is replaced", "fields = [field.strip() for value in vary for", "fields = [field.strip() for value in () for"),
        ("Cache-Control: private is skipped", "    if not cached:\n", "    if False:\n"),
        ("a page with our cookie may be cached", "[*merged, _NO_STORE, *ours]", "[*merged, *ours]"),
        ("two cookies of our name", 'name.lower() == "set-cookie"', 'name.lower() == "-"'),
        ("the header list of the application is changed", "else [*headers, _VARY]", "else headers.append(_VARY) or headers"),
    ),
    *of(
        "middleware.py",
        ("the session is committed at start_response", "        self._status, self._headers = status, headers\n", "        self._status, self._headers = status, headers\n        self.commit()\n"),
        ("a failed commit is not noticed by the visitor", 'return "503 Service Unavailable", self._apology_headers(ours)', "return self._status, self._headers"),
        ("late changes are not saved", "                session.save()\n", "                pass\n"),
        ("an exception saves what came before it", "        except Exception:\n            response.give_up()\n            raise", "        except LookupError:\n            raise"),
        ("the body is closed twice", "        self._closed = True\n", ""),
        ("the body is never closed", "            _close(self._body)\n        except", "            pass\n        except"),
        ("every body is wrapped", "if kind is list or kind is tuple or", "if"),
        ("the file wrapper is wrapped", "return isinstance(wrapper, type) and isinstance(body, wrapper)", "return False"),
        ("exc_info is swallowed", "return self._server(status, headers, exc_info)", "return self._write"),
        ("a second middleware opens a second session", "if outer is not None and _is_open(outer):", "if False:"),
        ("a session in use again is never opened anew", " and outer._phase is not OVER", ""),
        ("plain http is not warned of", "if not secure:\n                self._middleware._check", "if False:\n                self._middleware._check"),
    ),
]  # fmt: skip


def survives(mutant: Mutant) -> bool:
    """Whether the tests pass on the broken code."""
    with tempfile.TemporaryDirectory() as temporary:
        tree = Path(temporary)
        shutil.copytree(ROOT / "wsgi_sessions", tree / "wsgi_sessions")
        shutil.copytree(ROOT / "tests", tree / "tests")
        for name in ("pyproject.toml", "README.md"):
            shutil.copy(ROOT / name, tree)
        path = tree / "wsgi_sessions" / mutant.file
        source = path.read_text()
        if source.count(mutant.old) == 0:
            raise LookupError(f"{mutant.file} has no {mutant.old!r} any more")
        path.write_text(source.replace(mutant.old, mutant.new))
        command = [
            *(sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"),
            *IN_PROCESS,
        ]
        result = subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=300)
        if result.returncode > 3:  # 2 and 3: the broken code cannot even be imported
            raise RuntimeError(f"pytest could not run:\n{result.stdout}{result.stderr}")
        return result.returncode == 0


def main(words: list[str]) -> int:
    chosen = [one for one in MUTANTS if all(word in f"{one.file} {one.breaks}" for word in words)]
    survivors = 0
    with ThreadPoolExecutor(WORKERS) as pool:
        for mutant, alive in zip(chosen, pool.map(survives, chosen), strict=True):
            survivors += alive
            verdict = "SURVIVED" if alive else "killed"
            print(f"{verdict:9}{mutant.file:15}{mutant.breaks}", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} mutants killed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
