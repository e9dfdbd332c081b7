<?php

declare(strict_types=1);

use function Mo\{change, field, form, go, h, is_duplicate, items, note, number, page, posted, rows};

require __DIR__ . '/lib/app.php';

/** A number that stands for this visitor and tells nothing about them. */
function voter(): string
{
    $known = $_COOKIE['mo_voter'] ?? '';
    if (!is_string($known) || preg_match('/^[0-9a-f]{32}$/', $known) !== 1) {
        $known = bin2hex(random_bytes(16));
        setcookie('mo_voter', $known, ['expires' => time() + 31_536_000, 'path' => '/', 'secure' => true, 'httponly' => true, 'samesite' => 'Strict']);
    }
    return hash('sha256', $known, true);
}

$poll = rows('SELECT id, question FROM polls WHERE closes_at IS NULL OR closes_at > NOW() ORDER BY id DESC LIMIT 1')[0] ?? null;
if ($poll !== null && posted()) {
    try {
        $cast = change(
            'INSERT INTO ballots (poll_id, choice_id, voter) SELECT poll_id, id, ? FROM choices WHERE id = ? AND poll_id = ?',
            [voter(), (int) (field('choice') ?? '0'), (int) $poll['id']],
        );
        go($cast === 1 ? 'done=1' : 'done=0');
    } catch (PDOException $error) {
        if (!is_duplicate($error)) {
            throw $error;
        }
        go('done=2');
    }
}

$notes = ['0' => ['Bitte wählen Sie eine Möglichkeit.', false], '1' => ['Danke, Ihre Stimme zählt.', true], '2' => ['Sie haben schon abgestimmt.', false]];
$said = $notes[is_string($_GET['done'] ?? null) ? $_GET['done'] : ''] ?? null;
$body = $said === null ? '' : note(...$said);
if ($poll === null) {
    $body .= '<p>Zur Zeit ist keine Abstimmung offen.</p>';
} else {
    $choices = rows('SELECT c.id, c.text, COUNT(b.id) AS votes FROM choices c LEFT JOIN ballots b ON b.choice_id = c.id WHERE c.poll_id = ? GROUP BY c.id, c.text ORDER BY c.id', [(int) $poll['id']]);
    $fields = '<fieldset><legend>' . h($poll['question']) . '</legend>';
    foreach ($choices as $choice) {
        $fields .= '<label><input type="radio" name="choice" required value="' . h($choice['id']) . '">' . h($choice['text']) . '</label>';
    }
    voter();
    $body .= form($fields . '</fieldset>', 'Abstimmen') . '<h2>Zwischenstand</h2>';
    $body .= items(array_map(static fn (array $c): string => h($c['text']) . ': <strong>' . h($c['votes']) . '</strong>', $choices));
}
page('Abstimmungen', 'Mitglieder entscheiden mit.', $body, ['Abgegebene Stimmen', number('SELECT COUNT(*) FROM ballots')]);
