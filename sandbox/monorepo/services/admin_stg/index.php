<?php

declare(strict_types=1);

use function Mo\{change, form, go, h, note, number, page, posted, rows};

require __DIR__ . '/lib/app.php';

$switches = rows('SELECT name, title, enabled FROM switches ORDER BY name');
if (posted()) {
    $wanted = is_array($_POST['on'] ?? null) ? $_POST['on'] : [];
    foreach ($switches as $switch) {
        change('UPDATE switches SET enabled = ? WHERE name = ?', [(int) in_array($switch['name'], $wanted, true), $switch['name']]);
    }
    go('done=1');
}
$fields = '<fieldset><legend>Schalter der Testumgebung</legend>';
foreach ($switches as $switch) {
    $fields .= '<label><input type="checkbox" name="on[]" value="' . h($switch['name']) . '"' . ($switch['enabled'] === 1 ? ' checked' : '') . '>' . h($switch['title']) . '</label>';
}
$body = (($_GET['done'] ?? null) === '1' ? note('Gespeichert.') : '') . form($fields . '</fieldset>', 'Speichern');
page('Verwaltung (Testumgebung)', 'Schalter, die in der Testumgebung gelten.', $body, ['Eingeschaltet', number('SELECT COUNT(*) FROM switches WHERE enabled = 1')]);
