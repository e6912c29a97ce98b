"""The cloud home, counted: requests and capacity units of real flows, and what they cost."""
