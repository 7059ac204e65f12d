"""Measuring instruments: side by side with the real uWSGI and with peers, the hot loop's parts, system calls."""
