"""Statistical models of one series at a time: the naive family, exponential smoothing, Theta, ARIMA, STL."""
