"""The oldest releases that pyproject.toml names: what CI runs over them, and nobody else."""
