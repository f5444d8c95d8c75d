"""A gallery of Julia sets: a small application that uses every way to cache."""
