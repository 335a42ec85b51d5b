"""Sessions under load while their store is broken again and again: ``python -m tests.soak``."""
