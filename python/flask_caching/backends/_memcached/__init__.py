"""What the memcached backends are made of: options and clients."""
