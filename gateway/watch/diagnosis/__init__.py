"""What is wrong with a running gateway, and which line of its profile would change that."""
