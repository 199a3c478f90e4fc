"""Conformal intervals around any model: split, cross, and adaptive ones that go on learning."""
