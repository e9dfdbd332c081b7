"""A small stack's exports for the tests of the monitoring."""

from __future__ import annotations

from catalog.exports import (
    DatabaseExport,
    EdgeExport,
    HealthExport,
    HostExport,
    MonitoringExport,
    ServerExport,
    ServiceExport,
    ThresholdsExport,
)


def service(
    key: str, *, runtime: str = "php", release: str | None = "r0123456789abcdef", title: str | None = None
) -> ServiceExport:
    return ServiceExport.model_validate(
        {
            "key": key,
            "title": title or key.title(),
            "domain": f"{key}.example.test",
            "url": f"https://{key}.example.test:8443",
            "runtime": runtime,
            "technology": "php",
            "release": release,
            "commit": "c" * 40,
            "deployed_at": "2026-11-21T08:30:00Z",
            "path": f"subdomains/{key}/httpdocs",
            "health": HealthExport(path="/health?x=1", status=200, contains="ok (yes)", timeout=5),
            "database": DatabaseExport(engine="mariadb", server="plesk", name=f"mo_{key}"),
        }
    )


def exports(*services: ServiceExport, connect: str | None = "127.0.0.1:8443") -> MonitoringExport:
    chosen = services or (service("votes"), service("forum"), service("idp", runtime="external"))
    return MonitoringExport(
        stack="sandbox",
        domain="example.test",
        commit="c" * 40,
        host=HostExport(name="box", address="127.0.0.1", port=2222, user="web", root="/www/htdocs/w01234567"),
        edge=EdgeExport(scheme="https", port=8443, connect=connect, ca_file="ca.pem"),
        services=chosen,
        servers=(
            ServerExport(name="plesk", engine="mariadb", host="127.0.0.1", port=3306, reach="host", tls=False),
            ServerExport(name="external-postgresql", engine="postgresql", host="127.0.0.1", port=5432, reach="direct", tls=True),
        ),
        thresholds=ThresholdsExport(services_deployed=len(chosen)),
    )
