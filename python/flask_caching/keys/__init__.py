"""How a call stands in a key: names of functions, texts of arguments, what tells calls apart.

Nothing here reads or writes a cache.
"""
