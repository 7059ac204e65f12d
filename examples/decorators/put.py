"""Enqueue."""

import tasks

print(tasks.greet(name="world"))
print(tasks.decide(what="lunch"))
