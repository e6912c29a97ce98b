"""Says who a bearer token belongs to."""
