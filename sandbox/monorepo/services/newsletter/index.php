<?php

declare(strict_types=1);

use function Mo\{change, email, form, go, input, note, number, page, posted, send_mail, sender};

require __DIR__ . '/lib/app.php';
require __DIR__ . '/lib/mail.php';

if (posted()) {
    $email = email();
    if ($email === null) {
        go('done=invalid');
    }
    $token = bin2hex(random_bytes(16));
    // One who is subscribed already gets the same answer: nobody learns who reads this newsletter.
    $new = change('INSERT INTO subscribers (email, token) VALUES (?, ?) ON DUPLICATE KEY UPDATE token = IF(confirmed_at IS NULL, VALUES(token), token)', [$email, hash('sha256', $token, true)]);
    if ($new > 0) {
        $link = 'https://' . ($_SERVER['HTTP_HOST'] ?? '') . "/?confirm=$token";
        try {
            send_mail(sender(), $email, 'Newsletter bestätigen', "Bitte bestätigen Sie Ihr Abonnement:\n\n$link\n\nSie haben nichts bestellt? Dann tun Sie nichts.\n");
        } catch (RuntimeException $error) {
            error_log('newsletter: ' . $error->getMessage());
            go('done=later');
        }
    }
    go('done=sent');
}

$confirm = $_GET['confirm'] ?? '';
if (is_string($confirm) && $confirm !== '') {
    $token = hash('sha256', $confirm, true);
    change('UPDATE subscribers SET confirmed_at = NOW() WHERE token = ? AND confirmed_at IS NULL', [$token]);
    go(number('SELECT COUNT(*) FROM subscribers WHERE token = ? AND confirmed_at IS NOT NULL', [$token]) === 1 ? 'done=confirmed' : 'done=unknown');
}

$notes = [
    'invalid' => ['Das ist keine E-Mail-Adresse.', false],
    'later' => ['Der Link konnte nicht verschickt werden. Bitte versuchen Sie es später wieder.', false],
    'sent' => ['Wir haben Ihnen einen Link zum Bestätigen geschickt.', true],
    'confirmed' => ['Danke, Ihr Abonnement ist bestätigt.', true],
    'unknown' => ['Dieser Link gilt nicht mehr.', false],
];
$said = $notes[is_string($_GET['done'] ?? null) ? $_GET['done'] : ''] ?? null;
$body = ($said === null ? '' : note(...$said)) . form(input('email', 'E-Mail-Adresse', 'type="email" required maxlength="254" autocomplete="email"'), 'Abonnieren');
page('Newsletter', 'Einmal im Monat: was wir tun und wie Sie mitmachen können.', $body, ['Abonnements', number('SELECT COUNT(*) FROM subscribers WHERE confirmed_at IS NOT NULL')]);
