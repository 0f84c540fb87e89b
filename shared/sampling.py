"""What may be asked of captions that are drawn, by the gateway and by the captioning service alike."""

from __future__ import annotations

from diptych.types.v1 import sampling_pb2
from shared.codes import Reason
from shared.errors import InvalidArgumentError

COLDEST, HOTTEST = 0.05, 5.0
"""Temperatures: below, the likeliest word always comes; above, any word does."""


def check_sampling(sampling: sampling_pb2.CaptionSampling) -> None:
    """Raises InvalidArgumentError for a temperature or a share out of its range; 0 is none, and says nothing."""
    temperature, share = sampling.temperature, sampling.top_p
    if temperature and not COLDEST <= round(temperature, 6) <= HOTTEST:  # a float32, so that 0.05 is a little less
        message = f"sampling.temperature is {temperature:g}; it must be {COLDEST:g} to {HOTTEST:g}, or 0 for 1"
        raise InvalidArgumentError(message, reason=Reason.FIELD_INVALID, field="sampling.temperature")
    if not 0 <= share <= 1:  # nor is it no number
        message = f"sampling.top_p is {share:g}; it must be above 0 and up to 1, or 0 for 1"
        raise InvalidArgumentError(message, reason=Reason.FIELD_INVALID, field="sampling.top_p")
