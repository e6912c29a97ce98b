"""Runs jobs: one SQS batch of tickets at a time."""
