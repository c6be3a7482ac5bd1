"""Speed, memory, precision and recall, each beside what a user would reach for instead: `python -m benchmarks`."""
