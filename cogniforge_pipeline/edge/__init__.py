"""Edge and multi-cloud: where workloads run, and where they go when a region dies.

Belongs here: the public names, each loaded when it is first asked for, so that the import stays light. Does not: code.
"""
