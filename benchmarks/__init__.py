"""What the library costs, beside its peers: ``make bench``, or ``python -m benchmarks``."""
