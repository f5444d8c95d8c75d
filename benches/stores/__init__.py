"""What stores cost: in memory as they grow, in files, shared by processes, on servers."""
