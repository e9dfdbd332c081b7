"""Apache with a virtual host for each service's domain, as shared hosts run it: ``.htaccess`` is obeyed, PHP gets the unresolved path.

PHP is PHP-FPM as the account (``apache``, ``nginx+apache``) or in Apache itself (``apache-mod-php``).
"""

from __future__ import annotations

import signal
from pathlib import Path

from catalog.models import Service
from sandbox import account, authority, maintenance
from sandbox.layout import DOMAIN, Layout, SandboxError
from sandbox.ports import answers
from sandbox.processes import Daemon
from sandbox.site import Part, Site

_PROGRAM = "/usr/sbin/apache2"
_MODULES_AT = Path("/usr/lib/apache2/modules")
_MODULES = (
    *(
        "authn_core",
        "authz_core",
        "authz_host",
        "access_compat",
        "alias",
        "autoindex",
        "deflate",
        "dir",
        "env",
        "expires",
        "filter",
    ),
    *("headers", "mime", "negotiation", "proxy", "proxy_fcgi", "proxy_http", "reqtimeout", "rewrite", "setenvif"),
)
_EVENT = """\
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule http2_module {modules}/mod_http2.so
Protocols h2 http/1.1
StartServers 2
MinSpareThreads 25
MaxSpareThreads 75
ThreadLimit 64
ThreadsPerChild 25
MaxRequestWorkers 150
"""
"""Debian's numbers, as the next ones."""
_PREFORK = """\
LoadModule mpm_prefork_module {modules}/mod_mpm_prefork.so
LoadModule php_module {modules}/{php}
StartServers 5
MinSpareServers 5
MaxSpareServers 10
MaxRequestWorkers 150
php_admin_flag log_errors on
php_admin_flag display_errors off
php_admin_value sys_temp_dir "{tmp}"
php_admin_value upload_tmp_dir "{tmp}"
php_admin_value session.save_path "{tmp}"
php_admin_value openssl.cafile "{ca}"
"""
_TLS = """\
LoadModule socache_shmcb_module {modules}/mod_socache_shmcb.so
LoadModule ssl_module {modules}/mod_ssl.so
SSLSessionCache shmcb:{run}/apache/tls(512000)
SSLProtocol -all +TLSv1.2 +TLSv1.3
SSLCertificateFile {etc}/web.pem
SSLCertificateKeyFile {etc}/web.key
"""
_APACHE = """\
ServerRoot "{run}/apache"
DefaultRuntimeDir "{run}/apache"
PidFile "{run}/apache.master"
ServerName {domain}
{identity}{loaded}{mpm}{tls}{listens}
Timeout 60
KeepAlive On
MaxKeepAliveRequests 1000
KeepAliveTimeout 5
ServerTokens Prod
ServerSignature Off
TraceEnable Off
HostnameLookups Off
ErrorLog "{site_logs}/error.log"
LogLevel warn
LogFormat "%a - %u %t %{{Host}}i \\"%r\\" %>s %b \\"%{{Referer}}i\\" \\"%{{User-Agent}}i\\" %D" site
CustomLog "{site_logs}/access.log" site
TypesConfig /etc/mime.types
DirectoryIndex index.php index.html
AccessFileName .htaccess
<Directory />
    Options None
    AllowOverride None
    Require all denied
</Directory>
<Directory "{root}">
    Options SymLinksIfOwnerMatch
    AllowOverride All
    Require all granted
</Directory>
<FilesMatch "^\\.ht">
    Require all denied
</FilesMatch>
<FilesMatch ".+\\.ph(?:ar|p|tml)$">
    SetHandler {handler}
</FilesMatch>
<FilesMatch ".+\\.phps$|^\\.ph(?:ar|p|ps|tml)$">
    Require all denied
</FilesMatch>
AddOutputFilterByType DEFLATE text/css application/javascript application/json image/svg+xml text/html text/plain
SetEnvIf Authorization "(.+)" HTTP_AUTHORIZATION=$1
RequestHeader unset Proxy
{behind}
{servers}"""
_DEFAULT = """\
<VirtualHost 127.0.0.1:{port}>
    ServerName unknown.invalid
{secure}    RedirectMatch 404 ^/
</VirtualHost>
"""
_SERVER = """\
# {key}
<VirtualHost 127.0.0.1:{port}>
    ServerName {domain}
    DocumentRoot "{docroot}"
{secure}{rules}    # What a test puts in the way of this site alone.
    IncludeOptional "{faults}/{key}/*.apache"
{how}</VirtualHost>
"""
_PROXY = """\
    ProxyPreserveHost On
    RequestHeader set X-Forwarded-Proto expr=%{{REQUEST_SCHEME}}
    # A process that was away for a moment is asked again at once.
    ProxyPass "/" "http://127.0.0.1:{port}/" retry=0
"""
_BEHIND = """\
LoadModule remoteip_module {modules}/mod_remoteip.so
RemoteIPHeader X-Forwarded-For
RemoteIPInternalProxy 127.0.0.1
SetEnvIf X-Forwarded-Proto "^https$" HTTPS=on
"""


def apache(site: Site, public: bool = True, embedded: bool = False) -> Part:
    """The web server. ``public``: at the sandbox's own ports with TLS, else behind nginx; ``embedded``: PHP runs in its processes.

    ``embedded`` processes run as the account: a host that has PHP in Apache gives each account processes of its own (mpm-itk), as otherwise
    no site could read its ``secrets.env``. Raises ``SandboxError`` where Debian's package is missing.
    """
    layout = site.layout
    php = max((path.name for path in _MODULES_AT.glob("libphp*.so")), default="")
    if not Path(_PROGRAM).exists() or (embedded and not php):
        raise SandboxError("Apache (with embedded PHP: its PHP module) is not installed; bin/setup installs what the sandbox needs")
    renewed = public and certificate(site)
    own = account.own(layout)
    user = None if own is None else own if embedded else "www-data"
    ports = (layout.port("http"), layout.port("https")) if public else (layout.port("apache"),)
    fill = {
        "modules": _MODULES_AT,
        "run": layout.run,
        "etc": layout.etc,
        "ca": layout.ca,
        "php": php,
        "tmp": account.directory(layout.run / "tmp", site.user, 0o700),
    }
    account.directory(layout.run / "apache")
    vhosts = [_DEFAULT.format(port=port, secure=_secure(layout, port)) for port in ports]
    vhosts += [_server(site, key, service, port) for key, service in site.services.items() for port in ports]
    text = _APACHE.format(
        run=layout.run,
        domain=DOMAIN,
        identity=f"User {user}\nGroup {user}\n" if user else "",
        loaded="".join(f"LoadModule {name}_module {_MODULES_AT}/mod_{name}.so\n" for name in _MODULES),
        mpm=(_PREFORK if embedded else _EVENT).format(**fill),
        tls=_TLS.format(**fill) if public else "",
        listens="".join(f"Listen 127.0.0.1:{port}\n" for port in ports),
        site_logs=layout.root / "logs",
        root=layout.root,
        handler="application/x-httpd-php" if embedded else f'"proxy:unix:{layout.run / "php.sock"}|fcgi://localhost"',
        behind="" if public else _BEHIND.format(**fill),
        servers="".join(vhosts),
    )
    for key, service in site.services.items():
        if maintenance.above(service):
            account.write(
                (layout.root / service.path).parent / ".htaccess", maintenance.htaccess(_deploy(site, key)), 0o644, site.user
            )
    changed = account.write(layout.etc / "apache.conf", text) or renewed
    argv = (_PROGRAM, "-D", "FOREGROUND", "-f", str(layout.etc / "apache.conf"), "-E", str(layout.logs / "apache.log"))
    return Part(Daemon("apache", argv), lambda: all(answers(port) for port in ports), changed, signal.SIGUSR1)


def certificate(site: Site) -> bool:
    """The sites' certificate; says whether it had to be made anew."""
    layout = site.layout
    names = [DOMAIN, *sorted(site.domain(service) for service in site.services.values() if service.host)]
    return authority.issue(layout.ca, layout.etc / "ca.key", layout.etc / "web.pem", layout.etc / "web.key", names)


def _secure(layout: Layout, port: int) -> str:
    return "    SSLEngine on\n" if port == layout.port("https") else ""


def _server(site: Site, key: str, service: Service, port: int) -> str:
    layout = site.layout
    process = service.runtime == "process"
    return _SERVER.format(
        key=key,
        port=port,
        domain=site.domain(service),
        docroot=site.document_root(service),
        secure=_secure(layout, port),
        rules="" if maintenance.above(service) else maintenance.server(_deploy(site, key)),
        how=_PROXY.format(port=site.processes()[key]) if process else "",
        faults=layout.etc / "faults",
    )


def _deploy(site: Site, key: str) -> Path:
    return site.layout.root / ".deploy" / key
