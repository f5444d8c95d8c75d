//! How cache keys are made: digests, memoize keys, query-string keys, fragment keys.
