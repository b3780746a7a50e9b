"""GitOps: what git says, what runs, where they differ, and what brings them together."""
