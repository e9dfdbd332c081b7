"""nginx with a virtual host for each service's domain: alone, or in front of Apache as Plesk has it."""

from __future__ import annotations

import os
import signal

from catalog.models import Service
from sandbox import account, maintenance
from sandbox.apache import certificate
from sandbox.ports import answers
from sandbox.processes import Daemon
from sandbox.site import Part, Site

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
{maintenance}        # What a test puts in the way of this site alone.
        include "{faults}/{key}/*.nginx";
        # What is not for the web, by the rule of docs/runbook.md.
        {hidden}
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
            # The path as it is configured, links unresolved: what hosters give.
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
            fastcgi_param DOCUMENT_ROOT $document_root;
            fastcgi_param HTTP_PROXY "";
            fastcgi_read_timeout 60s;
            fastcgi_pass "unix:{socket}";
        }}
        location ~ ^(/mo-probe-[0-9a-f]+)/ {{ try_files $uri $uri/ $1/index.php$is_args$args; }}
"""
_FRONT = """\
        location ~ /\\.ht {{ deny all; }}
        location ~* \\.({static})$ {{ try_files $uri @apache; }}
        location / {{ try_files /.none @apache; }}
        location @apache {{
            proxy_pass http://127.0.0.1:{apache};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_read_timeout 60s;
        }}
"""
_STATIC_FILES = (
    "ac3|avi|bmp|bz2|css|cue|dat|doc|docx|dts|eot|exe|flv|gif|gz|htm|html|ico|img|iso|jpeg|jpg|js|mkv|mp3|mp4|mpeg|mpg|ogg|pdf|png|ppt"
    "|pptx|qt|rar|rm|svg|swf|tar|tgz|ttf|txt|wav|webp|woff|woff2|xls|xlsx|zip|webm"
)
"""What Plesk's nginx serves by itself where its owner lets it ("Serve static files directly by nginx", its own list)."""
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


HIDDEN = (
    r'location ~* "/(\.(?!well-known(/|$))[^/]+|(migrations|prisma|alembic|node_modules)(/|$)|(composer\.[^/]*|package[^/]*\.json|'
    r"docker-compose[^/]*|requirements[^/]*\.txt|(yarn|pnpm)[^/]*\.ya?ml|[^/]*\.(sql|lock|py|pyc|log|ini|phar|bak|orig))(/|$))"
    '" { return 404; }'
)
"""The runbook's rule for a server that obeys no ``.htaccess``."""


def nginx(site: Site, front: bool = False) -> Part:
    """The web server. ``front``: before Apache, which it asks for all but the static files."""
    layout = site.layout
    renewed = certificate(site)
    servers = "".join(_server(site, key, service, front) for key, service in site.services.items())
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


def _server(site: Site, key: str, service: Service, front: bool) -> str:
    layout = site.layout
    if service.runtime == "process":
        locations = _PROXY.format(port=site.processes()[key])
    elif front:
        locations = _FRONT.format(static=_STATIC_FILES, apache=layout.port("apache"))
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
        docroot=site.document_root(service),
        maintenance=maintenance.nginx(layout.root / ".deploy" / key),
        faults=layout.etc / "faults",
        hidden=HIDDEN,
        locations=locations,
    )
