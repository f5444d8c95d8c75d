"""What applications use of cachelib's classes and ours do not need: names, steps and locks."""
