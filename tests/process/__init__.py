"""Real processes: `spoolsim run` as a whole, started, killed and looked at from outside."""
