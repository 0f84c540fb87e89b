"""The Python client: `from gateway.client import Diptych`, which blocks, or `AsyncDiptych`, which is awaited."""

from gateway.client.diptych import DEFAULT_ADDRESS, AsyncDiptych, Diptych

__all__ = ["DEFAULT_ADDRESS", "AsyncDiptych", "Diptych"]
