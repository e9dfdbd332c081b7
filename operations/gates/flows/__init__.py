"""Flows of a visitor through the running site, in Chromium: what must work before a deploy may change anything."""
