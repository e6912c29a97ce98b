"""The embedded home, timed beside other queues that run on one machine."""
