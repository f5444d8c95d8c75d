"""Waiting: for who computes the same, here or in another process, and off the event loop."""
