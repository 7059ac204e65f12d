"""Scenario programs: small spooler apps, what is done to them, and the facts that hold whatever the timing was."""
