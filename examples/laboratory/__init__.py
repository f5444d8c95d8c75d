"""The laboratory: one application on Flask-Caching and on this package, under the same load."""
