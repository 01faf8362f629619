"""Races between real sessions, and the proof that each guard's test can fail."""
