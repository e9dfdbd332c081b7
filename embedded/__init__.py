"""An embedded Pulumi engine: Pulumi's gRPC protocol, state and command line in Python, for the resource types this program uses."""
