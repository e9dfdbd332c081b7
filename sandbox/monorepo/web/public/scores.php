<?php

declare(strict_types=1);

use function Mo\{change, database, json, number, rows};

require __DIR__ . '/lib/app.php';

// POST {"player", "points", "achievement"} stores a round; GET gives the ten best.
if (($_SERVER['REQUEST_METHOD'] ?? 'GET') !== 'POST') {
    json(['best' => rows('SELECT player, MAX(points) AS points FROM Score GROUP BY player ORDER BY points DESC, player LIMIT 10')]);
}
// Another site's page cannot send this type without asking first, and is not allowed to.
if (!str_starts_with((string) ($_SERVER['CONTENT_TYPE'] ?? ''), 'application/json')) {
    json(['error' => 'application/json is expected'], 415);
}
$round = json_decode((string) file_get_contents('php://input', false, null, 0, 2000), true);
$player = is_array($round) && is_string($round['player'] ?? null) ? trim($round['player']) : '';
$points = is_array($round) ? ($round['points'] ?? null) : null;
$achievement = is_array($round) ? ($round['achievement'] ?? null) : null;
if ($player === '' || mb_strlen($player) > 40 || !is_int($points) || $points < 0 || $points > 1000 || !in_array($achievement, [null, 'all-right', 'half-right'], true)) {
    json(['error' => 'player, points and achievement are expected'], 400);
}
database()->beginTransaction();
change('INSERT INTO Score (player, points) VALUES (?, ?)', [$player, $points]);
if ($achievement !== null) {
    change('INSERT IGNORE INTO Achievement (player, kind) VALUES (?, ?)', [$player, $achievement]);
}
database()->commit();
json(['achievements' => number('SELECT COUNT(*) FROM Achievement WHERE player = ?', [$player])], 201);
