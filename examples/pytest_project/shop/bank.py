"""Two ways to charge a card from a job; one of them is wrong."""

from uwsgidecorators import spool


class Bank:
    """The bank outside: it keeps what it was asked, whatever happens to us."""

    def __init__(self):
        self.charges = []
        self.keys = set()

    def charge(self, order, amount, key=None):
        if key is not None:
            if key in self.keys:
                return
            self.keys.add(key)
        self.charges.append((order, amount))


bank = Bank()
receipts: set[str] = set()


@spool
def charge(arguments):
    """Wrong: a spooler that dies between the charge and the receipt runs this again, and charges twice."""
    order = arguments["order"]
    if order in receipts:
        return
    bank.charge(order, int(arguments["amount"]))
    receipts.add(order)


@spool
def charge_once(arguments):
    """Right: the bank is given a key of the order, by which it knows a repeated request."""
    order = arguments["order"]
    bank.charge(order, int(arguments["amount"]), key=order)
    receipts.add(order)
