"""The book of every run: who claimed which slot, what came of it, and where the forecasts are."""
