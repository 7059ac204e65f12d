"""The wing that runs tasks: the app, the handler, what it returned, and the worker's cycle."""
