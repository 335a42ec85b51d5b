"""What the site's search finds, by the rules of its worker (material's ``search.worker.js``).

Each word is looked for as the beginning of a word, in titles, texts and tags with the boosts of the
index; how long a text is does not matter (``b = 0``). A page counts more than a section, and what
has all words more than what has some. The results are pages, in the order of their best section.
"""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

from lunr import get_default_builder
from lunr.match_data import MatchData
from lunr.pipeline import Pipeline
from lunr.query import Query
from lunr.stop_word_filter import stop_word_filter

TAG = re.compile(r"<[^>]*>")


class Search:
    """The search of the site in *directory*."""

    def __init__(self, directory: Path) -> None:
        index = json.loads((directory / "search" / "search_index.json").read_text())
        assert index["config"]["pipeline"] == ["stopWordFilter"]
        assert index["config"]["lang"] == ["en"]
        self._separator = re.compile(index["config"]["separator"])
        builder = get_default_builder()
        builder.b(0)
        builder.pipeline = Pipeline()
        builder.pipeline.add(stop_word_filter)
        builder.search_pipeline = Pipeline()
        builder.ref("location")
        for name, field in index["config"]["fields"].items():
            builder.field(name, boost=field["boost"])
        self._fields = list(index["config"]["fields"])
        for document in index["docs"]:
            words = {name: self._words(document.get(name, "")) for name in self._fields}
            boost = {"boost": document.get("boost", 1)}
            builder.add({"location": document["location"], **words}, boost)
        self._index = builder.build()

    def pages(self, asked: str) -> list[str]:
        """The pages for what is typed, best first."""
        words = self._split(asked)
        query = Query(self._fields)
        for word in words:
            query.term(word, wildcard=Query.WILDCARD_TRAILING, use_pipeline=False)
        found = [
            (result["score"] * (1 + self._weight(result, words) ** 2), result["ref"])
            for result in self._index.query(query)
        ]
        best = [ref.partition("#")[0] for _, ref in sorted(found, key=lambda one: -one[0])]
        return list(dict.fromkeys(best))

    @staticmethod
    def _weight(result: dict[str, Any], words: list[str]) -> float:
        """1 for a page, and the share of the words, stop words aside, that were found."""
        matched: MatchData = result["match_data"]
        terms = list(matched.metadata)
        counted = {
            word: any(term.startswith(word) for term in terms)
            for word in words
            if any(term.startswith(word) for term in terms) or stop_word_filter(word)
        }
        share = sum(counted.values()) / len(counted) if counted else 0
        return ("#" not in result["ref"]) + share

    def _words(self, text: str | list[str]) -> list[str]:
        """A list is taken by lunr as it is."""
        whole = text if isinstance(text, str) else " ".join(text)
        return self._split(html.unescape(TAG.sub(" ", whole)))

    def _split(self, text: str) -> list[str]:
        return [word.lower() for word in self._separator.split(text) if word]
