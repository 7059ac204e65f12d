"""One program for each peer."""
