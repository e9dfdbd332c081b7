<?php

declare(strict_types=1);

use function Mo\{change, json, setting};

require __DIR__ . '/lib/app.php';

// POST with X-Event and X-Signature-256: sha256=<HMAC of the body with JWT_SECRET>; anything else is refused.
$body = (string) file_get_contents('php://input', false, null, 0, 65_537);
$expected = 'sha256=' . hash_hmac('sha256', $body, setting('JWT_SECRET'));
$event = (string) ($_SERVER['HTTP_X_EVENT'] ?? '');
if (($_SERVER['REQUEST_METHOD'] ?? '') !== 'POST' || strlen($body) > 65_536) {
    json(['error' => 'POST with at most 64 KiB is expected'], 405);
}
if (!hash_equals($expected, (string) ($_SERVER['HTTP_X_SIGNATURE_256'] ?? ''))) {
    json(['error' => 'the signature is missing or wrong'], 401);
}
if (preg_match('/^[a-z][a-z0-9._-]{0,59}$/', $event) !== 1 || json_decode($body) === null) {
    json(['error' => 'X-Event and a JSON body are expected'], 400);
}
change('INSERT INTO deliveries (event, payload) VALUES (?, ?)', [$event, $body]);
json(['received' => $event], 202);
