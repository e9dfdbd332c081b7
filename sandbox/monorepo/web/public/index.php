<?php

declare(strict_types=1);

use function Mo\{h, input, items, number, page, rows};

require __DIR__ . '/lib/app.php';

$best = rows('SELECT player, MAX(points) AS points FROM Score GROUP BY player ORDER BY points DESC, player LIMIT 10');
$earned = rows('SELECT kind, COUNT(*) AS times FROM Achievement GROUP BY kind ORDER BY kind');
$body = '<form id="quiz">' . input('player', 'Spielname', 'required maxlength="40" autocomplete="nickname"')
    . '<div id="questions"></div><button>Auswerten</button></form><p id="result" role="status" aria-live="polite"></p>'
    . '<script type="module" src="/game/main.js"></script>'
    . '<h2>Bestenliste</h2>' . items(array_map(static fn (array $r): string => h($r['player']) . ': ' . h($r['points']) . ' Punkte', $best))
    . '<h2>Auszeichnungen</h2>' . items(array_map(static fn (array $r): string => ($r['kind'] === 'all-right' ? 'Alles gewusst' : 'Gut dabei') . ': ' . h($r['times']), $earned));
page('Demokratiespiele', 'Wie gut kennen Sie unsere Demokratie?', $body, ['Gespielte Runden', number('SELECT COUNT(*) FROM Score')]);
