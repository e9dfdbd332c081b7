<?php

declare(strict_types=1);

use function Mo\{change, database, form, go, h, note, number, page, posted, rows};

require __DIR__ . '/lib/app.php';

const POLICY = '2026-10-01';

$purposes = rows('SELECT id, title, required FROM purposes WHERE active = 1 ORDER BY required DESC, id');
if (posted()) {
    $granted = is_array($_POST['purpose'] ?? null) ? $_POST['purpose'] : [];
    $receipt = bin2hex(random_bytes(16));
    database()->beginTransaction();
    foreach ($purposes as $purpose) {
        $yes = $purpose['required'] === 1 || in_array($purpose['id'], $granted, true);
        change('INSERT INTO decisions (receipt, purpose, granted, policy) VALUES (?, ?, ?, ?)', [$receipt, $purpose['id'], (int) $yes, POLICY]);
    }
    database()->commit();
    setcookie('mo_consent', $receipt, ['expires' => time() + 15_552_000, 'path' => '/', 'secure' => true, 'httponly' => true, 'samesite' => 'Lax']);
    go("receipt=$receipt");
}

$receipt = $_GET['receipt'] ?? '';
$body = '';
$last = [];
if (is_string($receipt) && preg_match('/^[0-9a-f]{32}$/', $receipt) === 1) {
    $last = array_column(rows('SELECT purpose, granted FROM decisions WHERE receipt = ? ORDER BY id', [$receipt]), 'granted', 'purpose');
    $body = $last === [] ? note('Diesen Beleg gibt es nicht.', false) : note("Ihre Auswahl ist gespeichert. Beleg: $receipt");
}
$fields = '<fieldset><legend>Ihre Einwilligung</legend>';
foreach ($purposes as $purpose) {
    $state = $purpose['required'] === 1 ? ' checked disabled' : (($last[$purpose['id']] ?? 0) === 1 ? ' checked' : '');
    $fields .= '<label><input type="checkbox" name="purpose[]" value="' . h($purpose['id']) . "\"$state>" . h($purpose['title']) . '</label>';
}
$body .= form($fields . '</fieldset>', 'Auswahl speichern') . '<p>Sie können Ihre Auswahl jederzeit hier ändern.</p>';
page('Einwilligungen', 'Sie bestimmen, wozu wir Ihre Daten verwenden.', $body, ['Gespeicherte Entscheidungen', number('SELECT COUNT(*) FROM decisions')]);
