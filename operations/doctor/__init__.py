"""What ``bin/mo doctor`` looks at: this machine, the stack's settings, the host, the databases, GitHub. Each finding is one sentence."""
