"""``type = "dummy"``: a model that lives in the gateway, for demos, tests and load tests.

``docs/dummy.md`` lists what it does; ``types/dummy.py`` parses its model names.
"""

from tensorzero.providers.dummy.provider import DummyProvider

__all__ = ["DummyProvider"]
