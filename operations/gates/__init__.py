"""Runs the real tools of the quality gates on the monorepo and on the site, and leaves their reports, each with a note on its origin."""
