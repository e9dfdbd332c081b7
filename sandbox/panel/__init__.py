"""The panel of the shared host: ``pleskctl`` and the supervisor behind it. Both run as the account, from copies, on the system's Python."""
