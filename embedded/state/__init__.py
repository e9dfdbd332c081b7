"""Pulumi's file backend: stacks as checkpoint files, their locks, history, backups, secrets, and this engine's journal."""
