"""The command line: Pulumi's commands, options, texts and exit codes."""
