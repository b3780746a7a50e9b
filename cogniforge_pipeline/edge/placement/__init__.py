"""Where workloads run: scores, the exact model, its proof, and what explains the answer.

Belongs here: pure functions and plain values. Does not: files, tables, failovers.
"""
