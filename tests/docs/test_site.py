"""The site: it builds, it loads nothing from elsewhere, and its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
REPOSITORY = "https://github.com/wsgi-sessions/wsgi-sessions"
LOADED = re.compile(
    r'<(?:script|img|iframe|source)[^>]* src="?([^" >]+)|<link[^>]* href="?([^" >]+)'
)


def pages(site: Path) -> list[Path]:
    found = sorted(site.rglob("*.html"))
    assert len(found) > 5
    return found


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    for page in pages(site):
        tags = [tag for tag in LOADED.finditer(page.read_text()) if "canonical" not in tag[0]]
        loaded = [tag[1] or tag[2] for tag in tags]
        assert [one for one in loaded if one.startswith(("http", "//"))] == [], page


def test_every_link_into_the_repository_leads_to_a_file(site: Path) -> None:
    linked = {
        path
        for page in pages(site)
        for path in re.findall(rf'{REPOSITORY}/(?:blob|edit|tree)/main/([^"#]+)', page.read_text())
    }
    assert len(linked) > 5
    assert [path for path in sorted(linked) if not (ROOT / path).exists()] == []
