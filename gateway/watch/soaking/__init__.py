"""A test for leaks: load for a long time, and whether memory and descriptors stay what they are."""
