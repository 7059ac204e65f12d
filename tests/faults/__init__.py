"""Faults injected from outside: kills and errors at system calls, full disks."""
