"""Leases: of all processes, one has a name, or computes what is under a key, for so long."""
