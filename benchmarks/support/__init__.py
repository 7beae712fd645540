"""What the benchmarks share; the modules one level up are the benchmarks themselves."""
