"""What the admin has to tell about the resources that are served."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pyproxy.policy.load import Loaded
from pyproxy.policy.provenance import describe, settings_of
from pyproxy.settings import Listener, Settings

Json = dict[str, Any]


class LoadedConfiguration:
    """Implements ``process.Configuration`` for what has been loaded from files."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded

    @property
    def settings(self) -> Settings:
        return self._loaded.settings

    def policies_of(self, listener: Listener) -> list[str]:
        return self._loaded.policies_of(listener)

    def decisions(self, listener: Listener) -> list[Json]:
        return [
            {
                "setting": one.name,
                "value": one.text,
                "source": one.origin.source,
                "field": one.origin.field,
            }
            for one in settings_of(self._loaded, listener)
        ]

    def describe(self) -> list[Json]:
        return describe(self._loaded)

    def status(self) -> str:
        return self._loaded.status("json", datetime.now(UTC))
