"""GitOps: what git says, what runs, where they differ, what brings them together, and the policies that both must keep."""
