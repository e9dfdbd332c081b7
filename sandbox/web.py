"""Which web server the sandbox host has: the profiles of ``MO_SANDBOX_WEB``."""

from __future__ import annotations

from collections.abc import Callable

from sandbox.apache import apache
from sandbox.nginx import nginx
from sandbox.php import php_fpm
from sandbox.site import Part, Site

_MADE: dict[str, tuple[Callable[[Site], Part], ...]] = {
    "apache": (apache, php_fpm),
    "apache-mod-php": (lambda site: apache(site, embedded=True),),
    "nginx": (nginx, php_fpm),
    "nginx+apache": (lambda site: nginx(site, front=True), lambda site: apache(site, public=False), php_fpm),
}


def parts(site: Site) -> list[Part]:
    """The daemons of the site's profile, their configuration written."""
    return [made(site) for made in _MADE[site.layout.web]]
