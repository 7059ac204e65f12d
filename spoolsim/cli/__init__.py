"""The wing with the faces for people: the commands."""
