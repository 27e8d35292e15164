"""Programs for those who work on RAUTA: the benchmark, the comparison with peers, the bootstrap of hatch."""
