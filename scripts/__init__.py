"""What the demo, the tests and the benchmarks need besides memaudit."""
