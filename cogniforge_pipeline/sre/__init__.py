"""SRE: objectives, error budgets, alerts, canaries and the gate before a release."""
