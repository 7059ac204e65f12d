"""Each test begins with an empty outside world."""

import pytest
from shop import bank, tasks


@pytest.fixture(autouse=True)
def outside():
    tasks.sent.clear()
    tasks.journal.clear()
    tasks.stock.clear()
    bank.bank.__init__()
    bank.receipts.clear()
