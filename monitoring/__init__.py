"""Turns the stack's exports (``catalog.exports``) into files that Prometheus, Alertmanager, Grafana and n8n take as they are.

Each module has one function from the exports (and settings of the monitoring machine) to ``{relative path: text}``;
``monitoring.write`` puts them down. Nothing here asks a network.
"""
