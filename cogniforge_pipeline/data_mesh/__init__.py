"""Data mesh: what every table promises, how well it keeps it, and what happened on the platform."""
