"""How the C library deals with memory that a model frees; it knows no model."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_KEPT_BYTES = 1 << 30


def keep_freed_memory() -> bool:
    """Has this process keep up to 1 GiB of freed memory for its next batch; True where the C library does that.

    glibc returns what a batch's activations took as soon as they are freed, and takes it back page by page with the
    next batch: clearing those pages was a fifth of a convolutional network's time. What a process holds at its peak
    stays the same. Other C libraries have no `mallopt`, or have one that does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(
        mallopt(parameter, _KEPT_BYTES) for parameter in (_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD)
    )
