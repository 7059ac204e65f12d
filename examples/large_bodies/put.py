"""A body of a megabyte; the same as a variable is refused."""

import uwsgi

data = bytes(range(256)) * 4096
uwsgi.spool({b"name": b"picture", b"body": data})
try:
    uwsgi.spool({b"name": b"picture", b"data": data})
except ValueError as error:
    print(error, *error.__notes__)
