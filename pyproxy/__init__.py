"""A standalone asyncio proxy that does what Envoy Gateway's ClientTrafficPolicy makes an Envoy listener do."""

__version__ = "0.1.0"
