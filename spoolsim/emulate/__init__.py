"""What the `uwsgi` module offers besides the spooler: emulated truthfully, or named as what it is not."""
