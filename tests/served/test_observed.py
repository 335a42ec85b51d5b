"""A scrape of a real gunicorn with two workers: the page counts what both have done."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.docs.blocks import blocks_of
from tests.support.serving import asleep, gunicorn

DOCS = Path(__file__).parents[2] / "docs"
FILES = {block.file: block.text for block in blocks_of(DOCS / "watching.md") if block.file}


def get(url: str, cookie: str = "") -> tuple[str, str]:
    """The page and the cookie that came with it."""
    request = urllib.request.Request(url, headers={"Cookie": cookie})
    with urllib.request.urlopen(request) as response:
        issued = response.headers["Set-Cookie"] or ""
        return response.read().decode(), issued.partition(";")[0]


def samples_of(page: str) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def test_a_scrape_counts_what_both_workers_have_done(tmp_path: Path) -> None:
    """The application and the configuration are those of ``docs/watching.md``."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "metrics").mkdir()
    environment = {
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics"),
        "WSGI_SESSIONS_STORE": f"sqlite:///{tmp_path}/sessions.db",
    }
    with gunicorn(
        "shop:application", tmp_path, "--workers", "2", "--threads", "2", **environment
    ) as url:
        first, cookie = get(url)
        worker = int(first.partition(" ")[2])
        with asleep(worker):
            second, _ = get(url, cookie)
            assert second.partition(" ")[0] == "2"
            assert int(second.partition(" ")[2]) != worker
            get(url, "sid=forged")
        assert get(f"{url}/livez")[0] == get(f"{url}/readyz")[0] == "ok\n"
        samples = samples_of(get(f"{url}/metrics")[0])
    events = "wsgi_sessions_events_total"
    assert samples[events, ("created",)] == 2
    assert samples[events, ("refused",)] == 1
    assert samples[events, ("login",)] == 0
    calls = "wsgi_sessions_store_call_duration_seconds_count"
    saves = {labels: value for (name, labels), value in samples.items() if name == calls}
    assert sum(value for labels, value in saves.items() if {"sqlite", "save"} <= set(labels)) >= 3
    assert os.listdir(tmp_path / "metrics")


def test_a_store_that_is_down_is_alive_and_not_ready(tmp_path: Path) -> None:
    """A restart would help nobody; what needs no session is served."""
    (tmp_path / "shop.py").write_text(FILES["shop.py"])
    (tmp_path / "metrics").mkdir()
    environment = {
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics"),
        "WSGI_SESSIONS_STORE": "redis://127.0.0.1:1",
    }
    with gunicorn("shop:application", tmp_path, **environment) as url:
        assert get(f"{url}/livez")[0] == "ok\n"
        with pytest.raises(urllib.error.HTTPError, match="503") as refused:
            get(f"{url}/readyz")
        assert refused.value.read() == b"the store of the sessions is unavailable\n"
        samples = samples_of(get(f"{url}/metrics")[0])
    calls = "wsgi_sessions_store_call_duration_seconds_count"
    unavailable = {labels for name, labels in samples if name == calls}
    assert any("unavailable" in labels for labels in unavailable)
