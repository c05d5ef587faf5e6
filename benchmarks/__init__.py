"""Honest measurements of pyae against its peers: see README.md in this folder."""
