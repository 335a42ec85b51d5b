"""What the shop sells."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["TEAS", "Tea", "euros"]


class Tea(NamedTuple):
    """One article; prices in cents."""

    slug: str
    name: str
    origin: str
    text: str
    cents: int
    colour: str
    """Of the brewed tea, for its picture."""


def euros(cents: int) -> str:
    """An amount as it is shown."""
    return f"€{cents // 100}.{cents % 100:02}"


TEAS: Final = {
    tea.slug: tea
    for tea in (
        Tea("sencha", "Sencha", "Uji, Japan", "Grassy, bright, first pick.", 980, "#b5bf4d"),
        Tea("oolong", "Oolong", "Anxi, China", "Roasted, with a note of peach.", 1240, "#d09a3a"),
        Tea("assam", "Assam", "Assam, India", "Malty and strong. Takes milk.", 760, "#97401c"),
        Tea("earl-grey", "Earl Grey", "Nilgiri, India", "With real bergamot.", 840, "#b4602a"),
        Tea("rooibos", "Rooibos", "Cederberg, South Africa", "Mild, no caffeine.", 620, "#c2452d"),
        Tea("chamomile", "Chamomile", "Apulia, Italy", "Whole flowers, for late.", 540, "#e2bd45"),
    )
}
