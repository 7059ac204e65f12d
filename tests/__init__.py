"""The tests of spoolsim; `python -m tests` prepares the oracle and runs them all."""
