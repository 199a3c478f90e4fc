"""Recurrent networks: parts that compose, and one file for each named architecture."""
