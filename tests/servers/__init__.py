"""Real servers for the tests: each on a free port, in a temporary directory, stopped again."""
