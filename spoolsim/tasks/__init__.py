"""What a person asks about tasks, and does to them; the command line is a face of it and holds no logic of its own."""
