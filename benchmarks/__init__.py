"""Measurements: each against a peer in the same run, several times; results go to ``benchmarks/results/``."""
