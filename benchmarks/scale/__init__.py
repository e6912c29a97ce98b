"""Load that nobody can put on an emulator, on paper: a stage second by second, under AWS's published limits."""
