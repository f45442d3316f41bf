"""How fast it is here: ``python -m benchmarks [suite ...]``. Numbers of one run compare; numbers of two runs do not."""
