"""Users' handlers, and how an attempt of a job is run."""
