"""What the Redis backends are made of: options, clients, and what all of them do."""
