<?php

declare(strict_types=1);

use function Mo\{h, number, page, rows};

require __DIR__ . '/lib/app.php';

$pages = rows('SELECT page, SUM(hits) AS hits FROM visits WHERE day > CURRENT_DATE - INTERVAL 30 DAY GROUP BY page ORDER BY hits DESC, page LIMIT 20');
$table = '';
foreach ($pages as $row) {
    $table .= '<tr><td>' . h($row['page']) . '</td><td>' . h($row['hits']) . '</td></tr>';
}
$body = $table === '' ? '<p>In den letzten 30 Tagen wurde nichts gezählt.</p>'
    : "<table><caption>Letzte 30 Tage</caption><thead><tr><th scope=\"col\">Seite</th><th scope=\"col\">Aufrufe</th></tr></thead><tbody>$table</tbody></table>";
page('Statistik', 'Zählt Aufrufe ohne Cookies und ohne Adressen; steht in der Sandbox anstelle von Matomo.', $body, ['Gezählte Aufrufe', number('SELECT COALESCE(SUM(hits), 0) FROM visits')]);
