"""Who is measured: the real uWSGI, spoolsim, and peers; or why one cannot be."""

from __future__ import annotations


class Missing(Exception):
    """This contestant, or what measuring it needs, is not here; the message says what to install or to pass."""
