"""The wing that owns tasks: spool files, their names, bytes, order, locks and states."""
