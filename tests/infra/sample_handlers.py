"""Stands for a user's handlers."""
