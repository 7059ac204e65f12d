"""note(words): one line for the test to read."""

import os

HOME = os.path.dirname(os.path.abspath(__file__))


def note(*words: object) -> None:
    with open(os.path.join(HOME, "notes"), "a", encoding="utf-8") as file:
        file.write(" ".join(map(str, words)) + "\n")
