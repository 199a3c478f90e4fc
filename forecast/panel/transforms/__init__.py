"""Transforms of the target, series by series, and the way back: logarithms, powers, differences, scales, ranks."""
