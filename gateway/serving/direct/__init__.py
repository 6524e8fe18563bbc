"""Answers from a request's bytes, without the MCP SDK: what most requests are, byte for byte as the SDK answers them.

Whatever is not recognised here to the last detail is left to the SDK, which decides what is right.
"""
