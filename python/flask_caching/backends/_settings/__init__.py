"""What several backends are configured by: settings, and the addresses of servers."""
