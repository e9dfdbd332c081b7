"""n8n: the two workflows that pass on deployments and alerts (Slack, e-mail), in n8n's import format.

The deploy posts to ``/webhook/deployment`` with an HMAC-SHA256 signature over the raw body in ``X-Mo-Signature: sha256=<hex>``; the
workflow checks it, in constant time, with the secret in n8n's own environment (``MO_WEBHOOK_SECRET``) before anything else, and answers
401 where it does not fit or the body's ``timestamp`` is more than ten minutes off.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from catalog.exports import MonitoringExport

SIGNATURE_HEADER = "X-Mo-Signature"

_CHECK_SIGNATURE = """\
const crypto = require('crypto');
const item = $input.first();
const raw = Buffer.from(item.binary.data.data, 'base64');
const expected = 'sha256=' + crypto.createHmac('sha256', $env.MO_WEBHOOK_SECRET || '').update(raw).digest('hex');
const given = String(item.json.headers['x-mo-signature'] || '');
const valid = Boolean($env.MO_WEBHOOK_SECRET) && given.length === expected.length
  && crypto.timingSafeEqual(Buffer.from(given), Buffer.from(expected));
const body = valid ? JSON.parse(raw.toString('utf8')) : {};
// What was heard on the way is of no use to anybody ten minutes later.
const fresh = Math.abs(Date.now() - Date.parse(body.timestamp)) <= 10 * 60 * 1000;
return [{json: {valid: valid && fresh, body: valid && fresh ? body : {}}}];
"""

_CHECK_TOKEN = """\
const crypto = require('crypto');
const item = $input.first();
const digest = (text) => crypto.createHash('sha256').update(text).digest();
const given = String(item.json.headers['authorization'] || '');
const valid = Boolean($env.MO_WEBHOOK_TOKEN)
  && crypto.timingSafeEqual(digest(given), digest('Bearer ' + $env.MO_WEBHOOK_TOKEN));
return [{json: {valid, body: valid ? item.json.body : {}}}];
"""

_DEPLOYMENT_TEXT = (
    "={{ $json.body.service }}: {{ $json.body.status }} ({{ $json.body.branch }} {{ ($json.body.commit || '').slice(0, 12) }}, "
    "{{ $json.body.timestamp }})"
)
_ALERT_TEXT = (
    "={{ $json.body.status === 'resolved' ? 'Resolved' : 'Firing' }}: "
    "{{ ($json.body.alerts || []).map(a => a.annotations.summary).join('; ') }}"
)


def signature(secret: bytes, body: bytes) -> str:
    """The value of ``X-Mo-Signature`` for a request's raw body."""
    return "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()


def n8n(exports: MonitoringExport) -> dict[str, str]:
    """The files below ``n8n/``."""
    workflows = {
        "deployment": _workflow(exports, "deployment", _CHECK_SIGNATURE, _DEPLOYMENT_TEXT, raw_body=True),
        "alert": _workflow(exports, "alert", _CHECK_TOKEN, _ALERT_TEXT, raw_body=False),
    }
    return {f"n8n/workflows/{name}.json": json.dumps(w, indent=2, ensure_ascii=False) + "\n" for name, w in workflows.items()}


def _workflow(exports: MonitoringExport, path: str, check: str, text: str, *, raw_body: bool) -> dict[str, Any]:
    def node(name: str, kind: str, version: float, x: int, y: int, parameters: dict[str, Any], **more: Any) -> dict[str, Any]:
        # Ids are derived, so that the same exports give the same file.
        number = hashlib.sha256(f"{exports.stack}/{path}/{name}".encode()).hexdigest()
        return {
            "id": f"{number[:8]}-{number[8:12]}-{number[12:16]}-{number[16:20]}-{number[20:32]}",
            "name": name,
            "type": f"n8n-nodes-base.{kind}",
            "typeVersion": version,
            "position": [x, y],
            "parameters": parameters,
            **more,
        }

    def link(*names: str) -> list[dict[str, Any]]:
        return [{"node": name, "type": "main", "index": 0} for name in names]

    options = {"rawBody": True} if raw_body else {}
    nodes = [
        node(
            "Webhook",
            "webhook",
            2,
            0,
            0,
            {"httpMethod": "POST", "path": path, "responseMode": "responseNode", "options": options},
            webhookId=f"mo-{exports.stack}-{path}",
        ),
        node("Check", "code", 2, 220, 0, {"mode": "runOnceForAllItems", "language": "javaScript", "jsCode": check}),
        node(
            "Valid?",
            "if",
            2,
            440,
            0,
            {
                "conditions": {
                    "options": {"caseSensitive": True, "leftValue": "", "typeValidation": "strict"},
                    "combinator": "and",
                    "conditions": [
                        {
                            "id": "valid",
                            "leftValue": "={{ $json.valid }}",
                            "rightValue": "",
                            "operator": {"type": "boolean", "operation": "true", "singleValue": True},
                        }
                    ],
                },
                "options": {},
            },
        ),
        node(
            "Slack",
            "httpRequest",
            4.2,
            660,
            -160,
            {
                "method": "POST",
                "url": "={{ $env.MO_SLACK_WEBHOOK_URL }}",
                "sendBody": True,
                "specifyBody": "json",
                "jsonBody": "={{ JSON.stringify({ text: " + _expression(text) + " }) }}",
                "options": {},
            },
            onError="continueRegularOutput",
        ),
        node(
            "E-mail",
            "emailSend",
            2.1,
            660,
            40,
            {
                "fromEmail": f"n8n@{exports.domain}",
                "toEmail": "={{ $env.MO_ALERT_MAIL }}",
                "subject": f"[{exports.stack}] " + text.removeprefix("="),
                "emailFormat": "text",
                "text": text,
                "options": {},
            },
            onError="continueRegularOutput",
        ),
        node(
            "Accepted", "respondToWebhook", 1.1, 660, -320, {"respondWith": "json", "responseBody": '{"ok": true}', "options": {}}
        ),
        node(
            "Refused",
            "respondToWebhook",
            1.1,
            660,
            240,
            {"respondWith": "json", "responseBody": '{"ok": false}', "options": {"responseCode": 401}},
        ),
    ]
    nodes[4]["parameters"]["subject"] = "=" + nodes[4]["parameters"]["subject"]
    return {
        # With an id, a second import replaces the workflow instead of adding one.
        "id": hashlib.sha256(f"{exports.stack}/{path}".encode()).hexdigest()[:16],
        "name": f"mo-deploy {path} ({exports.stack})",
        "nodes": nodes,
        "connections": {
            "Webhook": {"main": [link("Check")]},
            "Check": {"main": [link("Valid?")]},
            "Valid?": {"main": [link("Accepted", "Slack", "E-mail"), link("Refused")]},
        },
        "active": False,
        "settings": {"executionOrder": "v1"},
        "pinData": {},
    }


def _expression(template: str) -> str:
    """The JavaScript expression of a template ``=text {{ expression }} text``."""
    parts = template.removeprefix("=").split("{{")
    pieces = [json.dumps(parts[0])] if parts[0] else []
    for part in parts[1:]:
        expression, _, literal = part.partition("}}")
        pieces.append(f"({expression.strip()})")
        if literal:
            pieces.append(json.dumps(literal))
    return " + ".join(pieces)
