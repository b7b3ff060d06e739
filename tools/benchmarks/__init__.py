"""The benchmark: what `tools/bench.py` measures, against whom, and how the numbers are shown."""
