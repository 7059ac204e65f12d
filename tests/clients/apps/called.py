"""A callback for djcall."""

from notes import note


def back(word):
    note("called", word)
