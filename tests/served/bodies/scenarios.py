"""All scenarios by their names: what the replies of :mod:`tests.served.bodies.app` have to be."""

from tests.served.bodies import cut_short, in_time, late, outages  # noqa: F401
from tests.served.bodies.scenario import CONNECTED, DEADLY, SCENARIOS, WEBSOCKET

__all__ = ["CONNECTED", "DEADLY", "SCENARIOS", "WEBSOCKET"]
