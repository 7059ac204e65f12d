"""The wing that owns processes: master, fork server, spoolers, and who may kill whom."""
