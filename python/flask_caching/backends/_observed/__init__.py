"""Stores whose operations are timed, or watched by traces."""
