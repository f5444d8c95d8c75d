"""The class ``Cache`` in parts: its applications and settings, and its proxies of a backend."""
