"""A hook of MkDocs: a link out of ``docs/`` leads to the file in the repository.

Pages link to code and tests by relative paths, which work where the repository is browsed. A link
that leads nowhere stays as it is, and the strict build refuses it.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)\s#]+)")


def on_page_markdown(markdown: str, page: Any, config: Any, **_: object) -> str:
    """*markdown* with absolute links to the repository's files."""
    root = Path(config.config_file_path).parent
    folder = posixpath.dirname(f"docs/{page.file.src_uri}")

    def absolute(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, link[1]))
        outside = not path.startswith("docs/") and (root / path).exists()
        return f"{config.repo_url}/blob/main/{path}" if outside else link[1]

    return LINK.sub(absolute, markdown)
