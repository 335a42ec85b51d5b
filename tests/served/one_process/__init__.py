"""Seven frameworks in one process, under one middleware, with one session."""
