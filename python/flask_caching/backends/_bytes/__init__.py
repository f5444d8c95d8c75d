"""What the backends that store bytes are made of."""
