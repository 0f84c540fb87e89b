"""The local platform with fakes for model services: what `up` and `demo` start in the tests."""

from __future__ import annotations

from gateway.settings import SERVICES

FAKE_MODULES: dict[str, tuple[str, ...]] = {
    **{service: ("tests.gateway.fake_services", service) for service in SERVICES},
    "gateway": ("gateway",),
}
