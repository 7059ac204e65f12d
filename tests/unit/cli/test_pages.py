"""The reference pages that are made from the code are those that the code makes now."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spoolsim.cli.help import GENERATED
from spoolsim.cli.manual import HOME
from spoolsim.options.policy import ALWAYS, rows


@pytest.mark.parametrize("topic", GENERATED)
def test_a_page_is_what_the_code_makes(topic: str):
    """Otherwise `python -m spoolsim.cli.help` writes it."""
    assert Path(os.path.join(HOME, f"{topic}.md")).read_text(encoding="utf-8") == GENERATED[topic]()


def test_every_difference_is_a_line_of_its_page():
    """With both sides of it, in the order of the table."""
    page = GENERATED["differences"]()
    places = [page.index(f"\n| {row.what} | {row.uwsgi} | {row.spoolsim} | ") for row in (*rows(), *ALWAYS)]
    assert places == sorted(places)
