"""What the page says, in English."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Words"]

_UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"))


@dataclass(frozen=True)
class Words:
    """Every text of the page. Replace some, ``Words(title="Signed in on")``, or translate all in a
    subclass, with :meth:`ago`. All of it is plain text, which is escaped; names in braces are
    filled in."""

    language: str = "en"
    """The document's, by RFC 5646."""
    direction: str = "ltr"
    title: str = "Your devices"
    lead: str = "You are logged in on these devices. Log out any that you do not recognize."
    only_this: str = "You are logged in on no other device."
    this_device: str = "This device"
    unknown_device: str = "Unknown device"
    active_now: str = "Active now"
    last_seen: str = "Last seen {ago}"
    first_seen: str = "First seen {ago}"
    more: str = "{count} more that were not seen for longer are not shown."
    log_out: str = "Log out"
    log_out_one: str = "Log out {device}, {last_seen}"
    """What a screen reader says for the button. It begins with :attr:`log_out`."""
    log_out_others: str = "Log out all other devices"
    ended: str = "Done. The device is logged out."
    ended_others: str = "Done. All other devices are logged out."
    back: str = "Back"
    refused: str = "This page is not open to you"
    log_in_first: str = "It shows where you are logged in: log in, then open it again."
    not_allowed: str = "You are not allowed to see it."
    stale: str = "This page was out of date"
    stale_text: str = "You have logged in again since it was opened. Nothing was changed."
    not_understood: str = "That did not work"
    not_understood_text: str = "The request names no device. Nothing was changed."
    missing: str = "There is no such page"
    again: str = "Show my devices"

    def ago(self, seconds: float) -> str:
        """How long ago, in words: ``3 hours ago``. Less than a minute is ``just now``."""
        for length, unit in _UNITS:
            if (count := int(seconds / length)) > 0:
                return f"{count} {unit}{'' if count == 1 else 's'} ago"
        return "just now"
