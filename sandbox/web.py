"""nginx with a virtual host for each service's domain, and PHP-FPM as the account."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from catalog.models import Service
from sandbox import account, authority
from sandbox.host import connects
from sandbox.layout import DOMAIN
from sandbox.ports import answers
from sandbox.processes import Daemon
from sandbox.site import Part, Site

_FPM = "/usr/sbin/php-fpm"
_NGINX = """\
{user}daemon off;
worker_processes 2;
pid {run}/nginx.master;
error_log {site_logs}/error.log warn;
events {{ worker_connections 1024; }}
http {{
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    types_hash_max_size 2048;
    server_names_hash_bucket_size 128;
    log_format site '$remote_addr - $remote_user [$time_local] $host "$request" $status '
                    '$body_bytes_sent "$http_referer" "$http_user_agent" $request_time';
    access_log {site_logs}/access.log site;
    client_body_temp_path {run}/nginx/body;
    proxy_temp_path {run}/nginx/proxy;
    fastcgi_temp_path {run}/nginx/fastcgi;
    uwsgi_temp_path {run}/nginx/uwsgi;
    scgi_temp_path {run}/nginx/scgi;
    client_max_body_size 32m;
    server_tokens off;
    absolute_redirect off;
    sendfile on;
    gzip on;
    gzip_types text/css application/javascript application/json image/svg+xml;
    ssl_certificate {etc}/web.pem;
    ssl_certificate_key {etc}/web.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:tls:2m;

    server {{
        listen 127.0.0.1:{http} default_server;
        listen 127.0.0.1:{https} ssl http2 default_server;
        server_name _;
        return 404;
    }}
{servers}}}
"""
_SERVER = """\
    server {{
        # {key}
        listen 127.0.0.1:{http};
        listen 127.0.0.1:{https} ssl http2;
        server_name {domain};
        root "{docroot}";
        # The rule of docs/runbook.md, line by line.
        set $mo_probe none;
        if ($http_x_mo_probe ~ "^[0-9a-f]{{32}}$") {{ set $mo_probe $http_x_mo_probe; }}
        set $mo_down "";
        if (-f "{deploy}/maintenance") {{ set $mo_down 1; }}
        if (-f "{deploy}/shut-$mo_probe") {{ set $mo_down 1; }}
        if (-f "{deploy}/probe-$mo_probe") {{ set $mo_down ""; }}
        if ($mo_down) {{ return 503; }}
        error_page 503 @mo_down;
        location @mo_down {{ internal; default_type text/plain; add_header Retry-After 30 always; return 503 "Wartung\\n"; }}
        # What a test puts in the way of this site alone.
        include "{faults}/{key}/*.conf";
        location ~ /\\.(?!well-known/) {{ return 404; }}
        location ~ ^(/mo-probe-[0-9a-f]+)?/(migrations|prisma|alembic|lib|vendor|node_modules)(/|$) {{ return 404; }}
        location ~ (\\.(sql|py|pyc|log|ini|lock)|/(requirements[^/]*\\.txt|composer\\.json|package(-lock)?\\.json))$ {{ return 404; }}
{locations}    }}
"""
_STATIC = """\
        index index.html;
        location / {{ try_files $uri $uri/ {fallback}; }}
        location ~ ^(/mo-probe-[0-9a-f]+)/ {{ try_files $uri $uri/ {probe_fallback}; }}
"""
_PHP = """\
        index index.php index.html;
        location / {{ try_files $uri $uri/ /index.php$is_args$args; }}
        location ~ \\.php$ {{
            try_files $uri =404;
            include /etc/nginx/fastcgi_params;
            # The resolved path, so that no cache mixes two releases in one request.
            fastcgi_param SCRIPT_FILENAME $realpath_root$fastcgi_script_name;
            fastcgi_param DOCUMENT_ROOT $realpath_root;
            fastcgi_param HTTP_PROXY "";
            fastcgi_read_timeout 60s;
            fastcgi_pass "unix:{socket}";
        }}
        location ~ ^(/mo-probe-[0-9a-f]+)/ {{ try_files $uri $uri/ $1/index.php$is_args$args; }}
"""
_PROXY = """\
        location / {{
            proxy_pass http://127.0.0.1:{port};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_read_timeout 60s;
        }}
"""
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
php_admin_value[opcache.enable] = 1
php_admin_value[opcache.revalidate_freq] = 0
"""


def nginx(site: Site) -> Part:
    """The web server. A service's document root is its path, followed through the symlink at each request."""
    layout = site.layout
    names = [DOMAIN, *sorted(site.domain(service) for service in site.services.values() if service.host)]
    ca_key = layout.etc / "ca.key"
    renewed = authority.issue(layout.ca, ca_key, layout.etc / "web.pem", layout.etc / "web.key", names)
    servers = "".join(_server(site, key, service) for key, service in site.services.items())
    account.directory(layout.run / "nginx", "www-data" if os.geteuid() == 0 else None, 0o700)
    text = _NGINX.format(
        user="user www-data;\n" if os.geteuid() == 0 else "",
        run=layout.run,
        etc=layout.etc,
        site_logs=layout.root / "logs",
        http=layout.port("http"),
        https=layout.port("https"),
        servers=servers,
    )
    changed = account.write(layout.etc / "nginx.conf", text) or renewed
    ports = (layout.port("http"), layout.port("https"))
    argv = ("/usr/sbin/nginx", "-p", str(layout.run), "-e", str(layout.logs / "nginx.log"), "-c", str(layout.etc / "nginx.conf"))
    return Part(Daemon("nginx", argv), lambda: all(answers(port) for port in ports), changed, signal.SIGHUP)


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


def _server(site: Site, key: str, service: Service) -> str:
    layout = site.layout
    if service.runtime == "process":
        locations = _PROXY.format(port=site.processes()[key])
    elif service.runtime == "php":
        locations = _PHP.format(socket=layout.run / "php.sock")
    else:
        spa = service.technology == "vite"
        locations = _STATIC.format(fallback="/index.html" if spa else "=404", probe_fallback="$1/index.html" if spa else "=404")
    return _SERVER.format(
        key=key,
        http=layout.port("http"),
        https=layout.port("https"),
        domain=site.domain(service),
        docroot=layout.root / service.path,
        deploy=layout.root / ".deploy" / key,
        faults=layout.etc / "faults",
        locations=locations,
    )


def _program() -> str:
    found = sorted(Path("/usr/sbin").glob("php-fpm*"), reverse=True)
    return str(found[0]) if found else _FPM
