<?php

declare(strict_types=1);

use function Mo\{change, field, form, go, h, input, items, note, number, page, posted, rows};

require __DIR__ . '/lib/app.php';

$topics = rows('SELECT id, title FROM topics ORDER BY pinned DESC, id');
$known = array_column($topics, 'title', 'id');
if (posted()) {
    [$topic, $author, $text] = [(int) (field('topic') ?? '0'), field('author', 100), field('text', 3000)];
    if (!isset($known[$topic]) || $author === null || $text === null) {
        go('done=0');
    }
    change('INSERT INTO posts (topic_id, author, text) VALUES (?, ?, ?)', [$topic, $author, $text]);
    go('done=1');
}

$done = $_GET['done'] ?? null;
$body = $done === '1' ? note('Ihr Beitrag ist veröffentlicht.') : ($done === '0' ? note('Bitte füllen Sie alle Felder aus.', false) : '');
foreach ($topics as $topic) {
    $posts = rows('SELECT author, text, written_at FROM posts WHERE topic_id = ? ORDER BY id DESC LIMIT 20', [(int) $topic['id']]);
    $body .= '<h2>' . h($topic['title']) . '</h2>';
    $body .= items(array_map(static fn (array $p): string => '<strong>' . h($p['author']) . '</strong>, ' . h($p['written_at']) . '<br>' . nl2br(h($p['text'])), $posts));
}
$choices = '';
foreach ($known as $id => $title) {
    $choices .= '<option value="' . $id . '">' . h($title) . '</option>';
}
$body .= form(
    '<label for="topic">Thema</label><select id="topic" name="topic">' . $choices . '</select>' . input('author', 'Name', 'required maxlength="100" autocomplete="nickname"')
    . '<label for="text">Beitrag</label><textarea id="text" name="text" rows="4" required maxlength="3000"></textarea>',
    'Veröffentlichen',
);
page('Forum', 'Gespräche unter Mitgliedern.', $body, ['Beiträge', number('SELECT COUNT(*) FROM posts')]);
