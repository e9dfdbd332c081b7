"""The rule of docs/runbook.md by which a web server closes a site to visitors: what the owner of a real host is asked to give it."""

from __future__ import annotations

from pathlib import Path

from catalog.models import Service

_RULE = """\
RewriteEngine on
RewriteOptions InheritDownBefore
RewriteCond {deploy}/maintenance -f [OR]
RewriteCond {deploy}/shut-%{{HTTP:X-Mo-Probe}} -f
RewriteCond {deploy}/probe-%{{HTTP:X-Mo-Probe}} !-f
RewriteRule ^ - [R=503,L]
Header always set Retry-After 30 "expr=%{{REQUEST_STATUS}} == 503"
"""
_NGINX = """\
set $mo_probe none;
if ($http_x_mo_probe ~ "^[0-9a-f]{{32}}$") {{ set $mo_probe $http_x_mo_probe; }}
set $mo_down "";
if (-f "{deploy}/maintenance") {{ set $mo_down 1; }}
if (-f "{deploy}/shut-$mo_probe") {{ set $mo_down 1; }}
if (-f "{deploy}/probe-$mo_probe") {{ set $mo_down ""; }}
if ($mo_down) {{ return 503; }}
error_page 503 @mo_down;
location @mo_down {{ internal; default_type text/plain; add_header Retry-After 30 always; return 503 "Wartung\\n"; }}
"""


def above(service: Service) -> bool:
    """Whether the rule may stand in an ``.htaccess`` above the document root: a folder of this site alone, and files that Apache serves."""
    return "/" in service.path and service.runtime != "process"


def htaccess(deploy: Path) -> str:
    """Apache's rule, for the folder above the document root. ``deploy``: the service's folder below ``.deploy``."""
    return _RULE.format(deploy=deploy)


def server(deploy: Path) -> str:
    """Apache's rule in a virtual host. There a process that is away answers 503 as well, which must not look like maintenance."""
    lines = _RULE.format(deploy=deploy).replace("[R=503,L]", "[E=mo_down:1,R=503,L]").splitlines()
    kept = [line for line in lines if not line.startswith(("RewriteOptions", "Header"))]
    return "".join(f"    {line}\n" for line in [*kept, "Header always set Retry-After 30 env=mo_down"])


def nginx(deploy: Path) -> str:
    """nginx's rule, for a server block."""
    return "".join(f"        {line}\n" for line in _NGINX.format(deploy=deploy).splitlines())
