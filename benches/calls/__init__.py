"""What calls of decorated functions, views, pages and proxies cost in one process."""
