"""The programs that reach the host and run on it (docs/host-protocol.md)."""
