<?php

declare(strict_types=1);

use function Mo\{change, json};

require __DIR__ . '/lib/app.php';

header('Access-Control-Allow-Origin: *');
$page = $_POST['page'] ?? null;
if (!is_string($page) || preg_match('#^/[\x21-\x7e]{0,199}$#', $page) !== 1) {
    json(['error' => 'page is expected: a path that begins with /'], 400);
}
change('INSERT INTO visits (day, page, hits) VALUES (CURRENT_DATE, ?, 1) ON DUPLICATE KEY UPDATE hits = hits + 1', [$page]);
json(['counted' => $page], 202);
