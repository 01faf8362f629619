"""Measurements of rowqueue beside a baseline, on a database of their own."""
