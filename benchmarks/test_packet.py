"""The bytes of a spool file: encode and decode."""

from __future__ import annotations

from typing import Any

import pytest

from spoolsim.spool.packet import decode, encode

SMALL = [(b"task", b"noop"), (b"n", b"1")]
KINDS = {
    "small": SMALL,
    "decorated": [(b"ud_spool_func", b"send_mail"), *((b"key%d" % n, b"value of it") for n in range(8))],
    "full": [(b"%04d" % n, b"v" * 20) for n in range(2300)],
}


@pytest.mark.parametrize("kind", KINDS)
def test_encode(benchmark: Any, kind: str) -> None:
    """Variables become the bytes that decode to them."""
    data = benchmark(encode, KINDS[kind])
    assert decode(data) == (dict(KINDS[kind]), b"")


@pytest.mark.parametrize("kind", KINDS)
def test_decode(benchmark: Any, kind: str) -> None:
    """The bytes of variables and a body become these again."""
    assert benchmark(decode, encode(KINDS[kind]) + b"body") == (dict(KINDS[kind]), b"body")
