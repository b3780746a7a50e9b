"""GitOps: what git declares against what runs, and the policies that both must keep."""
