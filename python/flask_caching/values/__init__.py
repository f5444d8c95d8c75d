"""What may be stored, and what of it needs no copy.

How a value becomes bytes is a matter of :mod:`flask_caching.codecs`.
"""
