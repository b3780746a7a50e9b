"""CogniForge Pipeline: an operations lakehouse that runs from one folder."""

__version__ = "0.1.0"
