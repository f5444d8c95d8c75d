"""The active request and its application: which they are, and what is looked at in them."""
