"""The contract of the ports: one suite for every adapter."""
