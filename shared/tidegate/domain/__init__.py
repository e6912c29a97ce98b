"""The pure heart: states, guards, ranks, delays. Standard library only; time is an argument."""
