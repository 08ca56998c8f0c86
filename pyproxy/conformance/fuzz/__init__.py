"""Cases that nobody thought of; the same seed gives the same ones."""

from __future__ import annotations

from pyproxy.conformance.fuzz.generate import generate
from pyproxy.conformance.fuzz.policies import generate_with_policies

__all__ = ["generate", "generate_with_policies"]
