"""The Python client: `from gateway.client import Diptych`, which blocks, or `AsyncDiptych`, which is awaited."""

from gateway.client.diptych import AsyncDiptych, Diptych
from gateway.client.terms import DEFAULT_ADDRESS
from gateway.client.tls import Tls

__all__ = ["DEFAULT_ADDRESS", "AsyncDiptych", "Diptych", "Tls"]
