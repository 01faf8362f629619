"""The product with one guard removed, and a small run that shows whether the checker notices."""
