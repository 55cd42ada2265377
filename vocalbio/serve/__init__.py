"""The local service: a page, an HTTP interface and a live monitor, on this machine alone unless a token is set."""
