"""PHP-FPM as the account, as Debian configures it."""

from __future__ import annotations

import signal
from pathlib import Path

from sandbox import account
from sandbox.host import connects
from sandbox.processes import Daemon
from sandbox.site import Part, Site

_FPM = "/usr/sbin/php-fpm"
_POOL = """\
[global]
error_log = {log}
daemonize = no
[site]
{identity}listen = {socket}
listen.mode = 0666
pm = dynamic
pm.max_children = 16
pm.start_servers = 4
pm.min_spare_servers = 2
pm.max_spare_servers = 6
pm.max_requests = 2000
chdir = {home}
catch_workers_output = yes
clear_env = yes
env[PATH] = {programs}
env[HOME] = {home}
php_admin_flag[log_errors] = on
php_admin_flag[display_errors] = off
php_admin_value[sys_temp_dir] = {tmp}
php_admin_value[upload_tmp_dir] = {tmp}
php_admin_value[session.save_path] = {tmp}
php_admin_value[openssl.cafile] = {ca}
"""


def php_fpm(site: Site) -> Part:
    """PHP for the sites, as the account. Settings that a shared host would not have are left at their defaults."""
    layout = site.layout
    socket = layout.run / "php.sock"
    own = account.own(layout)
    text = _POOL.format(
        log=layout.logs / "php-fpm.log",
        identity=f"user = {own}\ngroup = {own}\n" if own else "",
        socket=socket,
        home=layout.home,
        programs=layout.programs,
        ca=layout.ca,
        tmp=account.directory(layout.run / "tmp", site.user, 0o700),
    )
    changed = account.write(layout.etc / "php-fpm.conf", text)
    argv = (_program(), "-F", "-y", str(layout.etc / "php-fpm.conf"), "--pid", str(layout.run / "php.master"))
    return Part(Daemon("php-fpm", argv), lambda: connects(socket), changed, signal.SIGUSR2)


def _program() -> str:
    found = sorted(Path("/usr/sbin").glob("php-fpm*"), reverse=True)
    return str(found[0]) if found else _FPM
