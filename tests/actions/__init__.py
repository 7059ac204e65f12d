"""Random actions on tasks while four spoolers of ours and a real uWSGI serve them: `python -m tests.actions`."""
