"""What ``uketsuke doctor`` finds, on real servers."""
