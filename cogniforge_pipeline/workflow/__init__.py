"""Workflows: activities with retries and compensation whose executions outlive the process that runs them.

Belongs here: what is declared, deciding, doing, the journal, the Python API and the commands. Does not: events
(`cogniforge_pipeline.events`), or what a user's handlers do.
"""
