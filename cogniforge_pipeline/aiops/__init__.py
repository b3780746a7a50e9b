"""AIOps: telemetry, what is anomalous in it, and how healthy each service is."""
