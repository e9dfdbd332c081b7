<?php

declare(strict_types=1);

use function Mo\{h, items, number, page, rows};

require __DIR__ . '/lib/app.php';

$latest = rows('SELECT event, received_at FROM deliveries ORDER BY id DESC LIMIT 10');
$list = items(array_map(static fn (array $d): string => h($d['event']) . ', <time>' . h($d['received_at']) . '</time>', $latest));
page('Webhooks', 'Nimmt signierte Ereignisse anderer Dienste an.', "<h2>Zuletzt empfangen</h2>$list", ['Empfangene Ereignisse', number('SELECT COUNT(*) FROM deliveries')]);
