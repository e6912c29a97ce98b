"""DAGs: what a run consists of, what makes it valid, and what each end of a job means for those behind it."""
