"""A stand-in for the parts of GitHub's REST API that this project uses, on loopback."""
