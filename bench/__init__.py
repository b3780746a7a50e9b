"""What the README's figures come from: `python -m bench` lists the benchmarks, `python -m bench.<name>` runs
one.

Belongs here: one module per benchmark, whose docstring starts with what it compares. Does not: tests.
"""
